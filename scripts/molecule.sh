#!/bin/bash
# Prove the roles on machines of the lab; the arguments are Molecule's. Root, .venv, .venv-ansible and `make wheels`
# are needed. Whatever it starts is ended, however it ends.
set -euo pipefail
cd "$(dirname "$0")/.."
lab=(.venv/bin/python scripts/lab.py)
if ((EUID)); then
    echo "The lab starts machines; run it as root." >&2
    exit 1
fi
trap '"${lab[@]}" down' EXIT
"${lab[@]}" prepare
PATH=$PWD/.venv-ansible/bin:$PATH "${lab[@]}" run molecule "$@"
