#!/bin/bash
# Tier B, at most three hours: what takes too long for every change. Without arguments all parts, or those named:
#   check_full.sh fuzz python313 bundles postgresql interop queue browser kernels kills power benches alone molecule lab
# The last result of each part, with date, commit and figures, is committed in docs/measured/check-full/.
set -euo pipefail
cd "$(dirname "$0")/.."
records=docs/measured/check-full
output=$(mktemp)
trap 'rm -f "$output"' EXIT

fuzz() {
    DKIM_MUTATIONS=10000 HYPOTHESIS_PROFILE=thorough .venv/bin/pytest -q tests/fuzz tests/unit --timeout 1200
    scripts/fuzz_guided.sh
}
python313() {
    scripts/test_python313.sh tests/protocol
}
bundles() {
    make --no-print-directory test-bundles
}
postgresql() {
    MADFLEET_TEST_ENGINE=postgresql .venv/bin/pytest -q -n 2 --dist loadfile --timeout 120 tests/unit/controlplane tests/protocol/controlplane
}
browser() {
    .venv/bin/pytest -q tests/browser -m slow --timeout 120
}
interop() {
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postfix opendkim bind9 \
        dovecot-imapd dovecot-lmtpd >/dev/null
    .venv/bin/pytest -q tests/interop --timeout 120
}
queue() {
    QUEUE_MESSAGES=10000 QUEUE_DESTINATIONS=100 QUEUE_DEAD=10 .venv/bin/pytest -q tests/full_queue -o faulthandler_timeout=2400
}
kernels() {
    .venv/bin/python scripts/kernel_matrix.py
}
kills() {
    KILL_ROUNDS=50 .venv/bin/pytest -q tests/kills
    make --no-print-directory lab
    KILL_ROUNDS=100 scripts/lab_test.sh -q tests/lab/test_kill.py --timeout 3000 -o faulthandler_timeout=3300
    make --no-print-directory lab-down
}
power() {
    POWER_CUTS=10 .venv/bin/pytest -q tests/power_cuts --timeout 600
}
benches() {
    make --no-print-directory bench-mail ARGUMENTS="--floor 12"
    make --no-print-directory bench-federation
    make --no-print-directory bench-turn
    make --no-print-directory bench-turn-flood
}
alone() {
    make --no-print-directory bench-mail ARGUMENTS="--storm 10000"
    make --no-print-directory bench-mail ARGUMENTS="--storm 400 --chosen"
    make --no-print-directory bench-mail ARGUMENTS="--large --seconds 20"
    make --no-print-directory bench-mail ARGUMENTS="--flat --seconds 5"
    make --no-print-directory bench-mail ARGUMENTS="--lasting 300000 --seconds 20"
}
molecule() {
    make --no-print-directory molecule
}
lab() {
    for _ in 1 2 3; do
        make --no-print-directory lab
        make --no-print-directory lab-test ARGUMENTS=-q
        make --no-print-directory lab-down
    done
}

measure() {
    local part=$1 began=$SECONDS verdict=passed
    echo "== $part"
    timeout 3600 "$BASH" -c "set -euo pipefail; $(declare -f "$part"); $part" 2>&1 | tee "$output" || verdict=FAILED
    {
        echo "# $part: $verdict"
        echo
        echo "$(date --utc +%F), commit $(git rev-parse --short HEAD), $((SECONDS - began)) s, $(nproc) cores," \
            "Linux $(uname -r | cut -d- -f1)."
        echo
        echo '```'
        # Summaries, figures and measured lines; progress and tables of pytest stay out.
        sed -n -e '/^=* measured/,/^=* [0-9a-z]* .*in /p' -e '/^{/p' -e '/ passed\| failed/p' -e '/^ .* \(ms\|ns\|s\|x\)$/p' \
            "$output" | awk '!/^SKIPPED/ && !seen[$0]++'
        echo '```'
    } >"$records/$part.md"
    echo "Written to $records/$part.md"
    [[ $verdict == passed ]]
}

mkdir -p "$records"
parts=("$@")
((${#parts[@]})) || parts=(fuzz python313 bundles postgresql interop queue browser kernels kills power benches alone molecule lab)
failed=()
for part in "${parts[@]}"; do
    measure "$part" || failed+=("$part")
done
if ((${#failed[@]})); then
    echo "Failed: ${failed[*]}" >&2
    exit 1
fi
