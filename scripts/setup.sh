#!/bin/bash
# Install the locked dependencies and our own packages into a virtual environment.
#   setup.sh PYTHON VENV
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 venv=$2
unset PIP_FIND_LINKS # a host's own folder of wheels would make the result depend on the host
if ! "$python" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed; $python is older. Use: make PYTHON=python3.13 setup" >&2
    exit 1
fi
"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
    -r <(sed -n '/^uv==/,/[^\\]$/p' requirements/dev.txt)
"$venv/bin/uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" --require-hashes \
    -r requirements/dev.txt
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps \
    -e nodelink -e controlplane -e mailnode -e turnnode
# The old Delta Chat core of the interoperability tests; it would clash with the new one.
"$venv/bin/uv" venv --quiet --allow-existing --python "$venv/bin/python" "$venv/deltachat-2.24"
"$venv/bin/uv" pip install --quiet --python "$venv/deltachat-2.24/bin/python" --require-hashes \
    -r requirements/deltachat-2.24.txt
