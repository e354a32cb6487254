#!/bin/bash
# Run tests on Python 3.13, which is Debian 13's: the units, or what the arguments name. Where the host has none, say so
# and go on: the lab's machines have it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(command -v python3.13 || ls -d "${PYENV_ROOT:-/nonexistent}"/versions/3.13.*/bin/python3.13 2>/dev/null | tail -1 || true)
if [[ -z $python ]] || ! "$python" --version >/dev/null 2>&1; then
    python=$(ls -d "${PYENV_ROOT:-/nonexistent}"/versions/3.13.*/bin/python3.13 2>/dev/null | tail -1 || true)
fi
if [[ -z $python ]]; then
    echo "No Python 3.13 on this host: its run is left out."
    exit 0
fi
[[ -e .venv-3.13/.ready ]] || { scripts/setup.sh "$python" .venv-3.13 && touch .venv-3.13/.ready; }
scripts/test_again.sh .venv-3.13/bin/pytest -q -n 2 --dist loadfile "${@:-tests/unit}"
