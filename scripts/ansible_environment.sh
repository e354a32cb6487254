# Sourced by what runs Ansible; `root` is the repository.
# Playbooks need half the time that Ansible by itself needs, because Mitogen keeps one Python on each host for all tasks,
# where Ansible starts one for each. ANSIBLE_STRATEGY=linear goes without.
export PATH=$root/.venv-ansible/bin:$PATH
mitogen=("$root"/.venv-ansible/lib/python3.*/site-packages/ansible_mitogen/plugins/strategy)
export ANSIBLE_STRATEGY=${ANSIBLE_STRATEGY:-mitogen_linear} ANSIBLE_STRATEGY_PLUGINS=${mitogen[0]}
export ANSIBLE_TIMEOUT=${ANSIBLE_TIMEOUT:-60} # seconds until that Python must be there, also on a host that is busy
export ANSIBLE_DEPRECATION_WARNINGS=False # that strategies of others may be gone one day
