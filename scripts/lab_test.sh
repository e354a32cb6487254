#!/bin/bash
# Try everything that users and operators do on the lab, which `make lab` has started. The arguments are pytest's: options,
# and what to run instead of all of tests/lab.
set -euo pipefail
cd "$(dirname "$0")/.."
if ((EUID)); then
    echo "The lab's machines are root's; run it as root." >&2
    exit 1
fi
# Ahead of all else, what the fleet looks like untouched; last, what operators do to it.
exec scripts/test_again.sh .venv/bin/python scripts/lab.py run .venv/bin/pytest -p no:randomly --timeout 600 --durations 25 \
    --override-ini testpaths=tests/lab "$@"
