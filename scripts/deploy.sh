#!/bin/bash
# Run the playbook on an inventory; further arguments are ansible-playbook's.
#   deploy.sh INVENTORY [--check --diff --limit mail1 --tags upgrade …]
# It needs half the time that `ansible-playbook` by itself needs, because Mitogen keeps one Python on each host for all
# tasks, where Ansible starts one for each. ANSIBLE_STRATEGY=linear goes without.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
inventory=$(realpath "$1")
shift
export PATH=$root/.venv-ansible/bin:$PATH
mitogen=("$root"/.venv-ansible/lib/python3.*/site-packages/ansible_mitogen/plugins/strategy)
export ANSIBLE_STRATEGY=${ANSIBLE_STRATEGY:-mitogen_linear} ANSIBLE_STRATEGY_PLUGINS=${mitogen[0]}
export ANSIBLE_TIMEOUT=${ANSIBLE_TIMEOUT:-60} # seconds until that Python must be there, also on a host that is busy
export ANSIBLE_DEPRECATION_WARNINGS=False # that strategies of others may be gone one day
cd "$root/ansible"
exec ansible-playbook --inventory "$inventory" playbooks/site.yml "$@"
