#!/bin/bash
# Boot the lab, deploy the fleet on it by the production playbook, and try what operators do; the arguments are pytest's.
# Root, .venv, .venv-ansible and `make wheels` are needed. Whatever it starts is ended, however it ends.
set -euo pipefail
cd "$(dirname "$0")/.."
lab=(.venv/bin/python scripts/lab.py)
if ((EUID)); then
    echo "The lab starts machines; run it as root." >&2
    exit 1
fi
trap '"${lab[@]}" down' EXIT
"${lab[@]}" boot control mail1 turn1
"${lab[@]}" run .venv/bin/pytest tests/ansible/lab --timeout 600 -p no:randomly "$@"
