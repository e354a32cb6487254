#!/bin/sh
# Resolve every dependency anew and write requirements/*.txt: hashes, no registry addresses.
set -eu
cd "$(dirname "$0")/.."
export UV_PYTHON_DOWNLOADS=never
uv=${UV:-.venv/bin/uv}
"$uv" lock ${UPGRADE:+--upgrade}
export_to() {
    output=$1
    shift
    "$uv" export --frozen --quiet --no-emit-workspace --no-annotate --no-header --output-file "requirements/$output" "$@"
}
export_to dev.txt --all-packages --group dev
for package in controlplane mailnode turnnode; do
    export_to "$package.txt" --package "$package" --no-default-groups
done
"$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-annotate --no-header --output-file requirements/ansible.txt requirements/ansible.in
# What obtains certificates on hosts; in a bundle of its own, for the Python of Debian 13.
"$uv" pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url \
    --no-annotate --no-header --output-file requirements/certbot.txt requirements/certbot.in
# An old Delta Chat core, which has to get on with the newest one through us.
echo 'deltachat-rpc-server==2.24.0' | "$uv" pip compile --quiet --generate-hashes --no-emit-index-url \
    --no-annotate --no-header --output-file requirements/deltachat-2.24.txt -
# What guides fuzzing (scripts/fuzz_guided.sh); apart, for it has wheels for fewer processors than we do.
echo 'atheris==3.0.0' | "$uv" pip compile --quiet --generate-hashes --no-emit-index-url \
    --no-annotate --no-header --output-file requirements/fuzz.txt -
