#!/bin/bash
# Install Ansible, Molecule and the linters of roles into an environment of their own.
#   setup_ansible.sh UV VENV
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$1 venv=$2
unset PIP_FIND_LINKS # a host's own folder of wheels would make the result depend on the host
"$uv" venv --quiet --allow-existing --python "$(dirname "$uv")/python" "$venv"
"$uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r requirements/ansible.txt
