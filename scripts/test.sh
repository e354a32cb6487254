#!/bin/bash
# Tier A: install what is needed, then lint, unit, protocol and fuzz tests, the lab with real clients, the browser,
# and a short bench. Everything it installs by apt stands in this file.
set -euo pipefail
cd "$(dirname "$0")/.."
export CI=${CI:-}

packages=(chromium fonts-noto-core iproute2 gnupg curl procps)
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

step "set-up" make --no-print-directory setup
step "lint" make --no-print-directory lint
step "unit, protocol and fuzz tests" make --no-print-directory test-unit
step "the same units on Python 3.13" scripts/test_python313.sh
step "lab: real clients" make --no-print-directory test-lab
step "browser" make --no-print-directory test-browser
step "make up, make down" .venv/bin/pytest tests/lab/make_up --timeout 180
step "bench" make --no-print-directory bench-mail
