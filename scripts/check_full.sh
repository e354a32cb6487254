#!/bin/bash
# Tier B: what takes too long for every change, in two halves of at most three hours each:
#   check_full.sh programs     fuzz python313 bundles postgresql interop queue browser kernels power benches alone
#   check_full.sh machines     molecule lab kills
# Without arguments both, one after the other; or the parts that are named, within three hours. A part that reaches its
# own bound is ended, and its record says so. The last result of each part, with date, commit and figures, is committed
# in docs/measured/check-full/.
set -euo pipefail
cd "$(dirname "$0")/.."
records=docs/measured/check-full
programs=(fuzz python313 bundles postgresql interop queue browser kernels power benches alone)
machines=(molecule lab kills)
declare -A bound_minutes=(
    [fuzz]=40 [python313]=15 [bundles]=10 [postgresql]=20 [interop]=5 [queue]=10 [browser]=10 [kernels]=5 [power]=10
    [benches]=25 [alone]=25 [molecule]=85 [lab]=45 [kills]=45
)
HALF_SECONDS=10800
END_SECONDS=60 # for what a part that is ended has started
output=$(mktemp)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -f "$output"' EXIT

fuzz() {
    DKIM_MUTATIONS=10000 HYPOTHESIS_PROFILE=thorough .venv/bin/pytest -q -n 2 --dist loadfile tests/fuzz tests/unit --timeout 1200
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
power() {
    POWER_CUTS=10 .venv/bin/pytest -q tests/power_cuts --timeout 600
}
benches() {
    make --no-print-directory bench-mail ARGUMENTS="--floor 12"
    make --no-print-directory bench-controlplane
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
    trap "make --no-print-directory lab-down" EXIT
    make --no-print-directory lab
    make --no-print-directory lab-test ARGUMENTS=-q
}
# Its machines are deployed by a bare ansible-playbook; all others as `make deploy` does it.
kills() {
    trap "make --no-print-directory lab-down" EXIT
    KILL_ROUNDS=50 .venv/bin/pytest -q tests/kills --timeout 900
    ANSIBLE_STRATEGY=linear make --no-print-directory lab
    KILL_ROUNDS=100 scripts/lab_test.sh -q tests/lab/test_kill.py --timeout 1500
}

# Run a part within what is left of its half, in seconds, and write its record.
measure() {
    local part=$1 began=$SECONDS limit=$((60 * bound_minutes[$1])) verdict=passed
    ((limit <= $2)) || limit=$(($2 > 0 ? $2 : 1))
    echo "== $part"
    timeout --kill-after "$END_SECONDS" "$limit" "$BASH" -c "set -euo pipefail; $(declare -f "$part"); $part" >"$output" 2>&1 &
    tail --lines +1 --follow --pid $! "$output"
    if ! wait $!; then
        verdict=FAILED
        ((SECONDS - began < limit)) || verdict="CUT OFF after $((limit / 60)) min"
    fi
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

failed=()
run_half() {
    local part end=$((SECONDS + HALF_SECONDS))
    for part in "$@"; do
        measure "$part" $((end - SECONDS)) || failed+=("$part")
    done
}

mkdir -p "$records"
case ${1:-} in
    "") run_half "${programs[@]}"; run_half "${machines[@]}" ;;
    programs) run_half "${programs[@]}" ;;
    machines) run_half "${machines[@]}" ;;
    *) run_half "$@" ;;
esac
if ((${#failed[@]})); then
    echo "Failed: ${failed[*]}" >&2
    exit 1
fi
