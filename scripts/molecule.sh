#!/bin/bash
# Prove the roles on machines of the lab, the way `make deploy` deploys; ANSIBLE_STRATEGY=linear proves a bare
# ansible-playbook. The arguments are Molecule's. Root, .venv, .venv-ansible, `make wheels` and `make apt-bundle` are
# needed. Whatever it starts is ended, however it ends.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
source scripts/ansible_environment.sh
lab=(.venv/bin/python scripts/lab.py)
if ((EUID)); then
    echo "The lab starts machines; run it as root." >&2
    exit 1
fi
# What Molecule remembers of machines ends with them.
MOLECULE_EPHEMERAL_DIRECTORY=$(mktemp -d)
export MOLECULE_EPHEMERAL_DIRECTORY
trap '"${lab[@]}" down; rm -r "$MOLECULE_EPHEMERAL_DIRECTORY"' EXIT
"${lab[@]}" prepare
"${lab[@]}" run molecule "$@"
