#!/bin/bash
# Tier A: install what is needed, then lint, unit, protocol and fuzz tests, the browser, a fleet deployed on machines
# with real clients, and a short bench. Everything it installs by apt stands in this file.
set -euo pipefail
cd "$(dirname "$0")/.."
export CI=${CI:-}

packages=(
    chromium fonts-noto-core iproute2 gnupg curl procps
    libfuse3-3 e2fsprogs mount # disks that lose their power
    postgresql prometheus bind9 # each test run has servers of its own
    clang-14 llvm-14 libbpf-dev # programs in the kernel, built again: the bytes must be the same
    systemd-container mmdebstrap nftables openssh-client debian-archive-keyring # the lab, and the bench of mail
)
missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if ((${#missing[@]})); then
    echo "Installing ${missing[*]} ..."
    if ((EUID)); then
        echo "Run as root, or install them first: sudo apt-get install ${missing[*]}" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi

step() {
    echo
    echo "== $1"
    shift
    SECONDS=0
    "$@"
    echo "== ${SECONDS} s"
}

# Programs and, beside them, playbooks, roles and scenarios.
lint() {
    local output playbooks
    output=$(mktemp)
    make --no-print-directory lint-ansible >"$output" 2>&1 &
    playbooks=$!
    make --no-print-directory lint
    wait "$playbooks" || { cat "$output"; return 1; }
    cat "$output"
    rm "$output"
}

step "set-up" make --no-print-directory setup
step "lint" lint
step "unit, protocol and fuzz tests" make --no-print-directory test-unit
step "the same units on Python 3.13" scripts/test_python313.sh
step "browser" make --no-print-directory test-browser
step "power cuts" scripts/test_again.sh .venv/bin/pytest tests/power_cuts --timeout 120
step "make up, make down" scripts/test_again.sh .venv/bin/pytest tests/make_up --timeout 180
step "bench" make --no-print-directory bench-mail ARGUMENTS="--smoke"
trap 'make --no-print-directory lab-down' EXIT
step "lab: a fleet from an empty cache" make --no-print-directory lab
step "lab: real clients, and what operators do" make --no-print-directory lab-test
