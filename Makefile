# The door to everything. Logic over three lines lives in scripts/.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ADDRESS ?= 127.0.0.1
DIRECTORY ?= .fleet
SOURCES := controlplane mailnode nodelink turnnode tests bench scripts

.PHONY: help
help: ## Show what can be done
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(VENV)/.ready ## Install everything into .venv

$(VENV)/.ready: requirements/dev.txt requirements/deltachat-2.24.txt scripts/setup.sh $(wildcard */pyproject.toml)
	scripts/setup.sh $(PYTHON) $(VENV)
	@touch $@

.PHONY: up
up: setup ## Start a whole fleet on this machine; ADDRESS=192.0.2.7 binds to another address
	@$(BIN)/python scripts/fleet.py up --address $(ADDRESS) --directory $(DIRECTORY)

.PHONY: down
down: ## End what `make up` started
	@$(PYTHON) scripts/fleet.py down --directory $(DIRECTORY)

.PHONY: lint
lint: setup ## Check style, types and who imports whom
	$(BIN)/ruff check --output-format concise $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports

.PHONY: format
format: setup ## Bring the code into form
	$(BIN)/ruff check --fix --output-format concise $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: test
test: ## Install what is needed and run every test of tier A
	scripts/test.sh

.PHONY: test-unit
test-unit: setup ## Run the tests that need neither root nor a browser
	scripts/test_again.sh $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations 10 -o faulthandler_timeout=240 \
		tests/unit tests/protocol tests/fuzz tests/ansible --ignore tests/ansible/bundles

.PHONY: test-browser
test-browser: setup ## Press the buttons of the pages in Chromium
	scripts/test_again.sh $(BIN)/pytest -n 2 --dist loadfile tests/browser -m "not slow" --timeout 120

.PHONY: bench-mail
bench-mail: setup ## Measure the mail node beside Postfix and Dovecot (root); ARGUMENTS=--smoke for the node alone
	@PYTHONPATH=scripts:bench $(BIN)/python -m mail $(ARGUMENTS)

.PHONY: bench-federation
bench-federation: setup ## Measure mail between two servers, ours beside two of Postfix and Dovecot (root)
	@PYTHONPATH=scripts:bench:tests $(BIN)/python -m federation $(ARGUMENTS)

.PHONY: bench-turn
bench-turn: setup ## Measure what relaying costs, in the kernel and not, beside coturn (root)
	@PYTHONPATH=tests:bench $(BIN)/python -m turn.kernel $(ARGUMENTS)

.PHONY: bench-turn-flood
bench-turn-flood: setup ## Measure what a call loses in a flood of requests, beside coturn (root)
	@PYTHONPATH=tests:bench $(BIN)/python -m turn.flood $(ARGUMENTS)

.PHONY: bench-controlplane
bench-controlplane: setup ## Measure the control plane with 10, 100 and 1,000 nodes
	@PYTHONPATH=scripts:bench $(BIN)/python -m steering $(ARGUMENTS)

.PHONY: check-full
check-full: setup .venv-ansible/.ready ## Run tier B, which takes hours; PARTS=programs, PARTS=machines, or parts of scripts/check_full.sh
	scripts/check_full.sh $(PARTS)

.PHONY: bpf
bpf: ## Build the programs that relay in the kernel (clang-14 of Debian 12)
	scripts/bpf.sh

.PHONY: wheels
wheels: setup ## Build the bundles that hosts install offline, into dist/bundles
	$(BIN)/python scripts/wheels.py

.PHONY: apt-bundle
apt-bundle: setup ## Fetch the Debian packages of hosts without a network, into dist/apt; MIRROR=… DATABASES=1
	$(BIN)/python scripts/apt_bundle.py --mirror "$(MIRROR)" --security-mirror "$(SECURITY_MIRROR)" \
		$(addprefix --package ,$(PACKAGES)) $(if $(DATABASES),--databases)

dist/apt/debian13-amd64.tar: scripts/apt_bundle.py ansible/roles/host_setup/defaults/main.yml
	$(MAKE) --no-print-directory apt-bundle

dist/apt/debian13-databases-amd64.tar: scripts/apt_bundle.py ansible/roles/host_setup/defaults/main.yml \
		ansible/roles/postgresql/defaults/main.yml
	$(MAKE) --no-print-directory apt-bundle DATABASES=1

.PHONY: test-bundles
test-bundles: wheels dist/apt/debian13-amd64.tar ## Check that what hosts install is whole, for every processor
	$(BIN)/pytest tests/ansible/bundles

.venv-ansible/.ready: requirements/ansible.txt scripts/setup_ansible.sh $(VENV)/.ready
	scripts/setup_ansible.sh $(BIN)/uv .venv-ansible
	@touch $@

.PHONY: deploy
deploy: .venv-ansible/.ready ## Deploy a fleet; INVENTORY=… and, for ansible-playbook, ARGUMENTS=…
	scripts/deploy.sh $(INVENTORY) $(ARGUMENTS)

.PHONY: lint-ansible
lint-ansible: .venv-ansible/.ready ## Check playbooks, roles and scenarios
	PATH=$(CURDIR)/.venv-ansible/bin:$$PATH ANSIBLE_CONFIG=ansible/ansible.cfg ansible-lint --offline
	.venv-ansible/bin/yamllint --strict ansible inventories molecule .config

.PHONY: molecule
molecule: .venv-ansible/.ready wheels dist/apt/debian13-amd64.tar dist/apt/debian13-databases-amd64.tar ## Deploy a fleet on real systemd machines (root)
	scripts/molecule.sh test --all

.PHONY: lab
lab: ## Boot machines on this one, and deploy a fleet on them (root)
	@$(PYTHON) scripts/lab_up.py

.PHONY: lab-test
lab-test: setup ## Try everything on the lab that `make lab` started (root); ARGUMENTS=… are pytest's
	scripts/lab_test.sh $(ARGUMENTS)

.PHONY: lab-down
lab-down: setup ## End the lab
	@$(BIN)/python scripts/lab.py down

.PHONY: lock
lock: setup ## Resolve every dependency anew (UPGRADE=1 takes newer ones)
	scripts/lock.sh
