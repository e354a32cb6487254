#!/bin/bash
# Run the playbook on an inventory; further arguments are ansible-playbook's.
#   deploy.sh INVENTORY [--check --diff --limit mail1 --tags upgrade …]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
inventory=$(realpath "$1")
shift
source "$root/scripts/ansible_environment.sh"
cd "$root/ansible"
exec ansible-playbook --inventory "$inventory" playbooks/site.yml "$@"
