#!/bin/bash
# Fuzz the mail node, guided by coverage: each target, or those named, for FUZZ_SECONDS (60).
#   fuzz_guided.sh [gate|imap|smtp ...]
# What is new goes to .fuzz; FUZZ_MERGE=1 takes from it into the tree's corpus what reaches more code. Where there is
# no atheris for the processor or the Python, it says so and fails.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-60}
targets=("$@")
((${#targets[@]})) || targets=(gate imap smtp)
venv=.venv
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --only-binary :all: --require-hashes \
    -r requirements/fuzz.txt
for target in "${targets[@]}"; do
    corpus=tests/fuzz/guided/corpus/$target found=.fuzz/$target
    mkdir -p "$found"
    run=(env PYTHONPATH=tests "$venv/bin/python" -m fuzz.guided "$target" -artifact_prefix=".fuzz/$target-")
    began=$SECONDS
    "${run[@]}" -max_total_time="$seconds" -max_len=8192 -timeout=20 -print_final_stats=1 -verbosity=0 \
        "$found" "$corpus" >.fuzz/log 2>&1 || { tail -40 .fuzz/log >&2; exit 1; }
    tries=$(sed -n 's/^stat::number_of_executed_units: *//p' .fuzz/log)
    echo "{\"fuzz\": \"$target\", \"seconds\": $((SECONDS - began)), \"tries\": ${tries:-0}, \"failures\": 0}"
    [[ -z ${FUZZ_MERGE:-} ]] || "${run[@]}" -merge=1 -max_len=8192 "$corpus" "$found" >.fuzz/log 2>&1
done
