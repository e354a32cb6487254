#!/bin/bash
# Tier B, at most three hours: what takes too long for every change. Its last result is committed in docs/measured/.
set -euo pipefail
cd "$(dirname "$0")/.."
record=docs/measured/check-full.md
output=$(mktemp)
trap 'rm -f "$output"' EXIT

measure() {
    echo "== $*" | tee -a "$output"
    timeout 3600 "$@" 2>&1 | tee -a "$output"
}

measure env HYPOTHESIS_PROFILE=thorough .venv/bin/pytest -q tests/fuzz tests/unit --timeout 1200
measure env KILL_ROUNDS=100 .venv/bin/pytest -q tests/lab/test_kill.py --timeout 3000
measure make --no-print-directory bench-mail
measure make --no-print-directory bench-turn
measure make --no-print-directory lint-ansible
measure make --no-print-directory molecule
measure make --no-print-directory lab-test

{
    echo "# The last full check"
    echo
    echo "$(date --utc +%F), commit $(git rev-parse --short HEAD), $(nproc) cores, Linux $(uname -r | cut -d- -f1)."
    echo
    echo '```'
    grep -E '^(==|\{|[0-9]+ (kills|passed)|[a-z].* (ms|s)$)|passed|failed' "$output"
    echo '```'
} >"$record"
echo "Written to $record"
