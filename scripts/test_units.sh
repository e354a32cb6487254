#!/bin/bash
# Run the tests that need neither root nor a browser, two at a time.
# Many of them keep real time limits on real sockets, and a busy machine can make one late. So up to five that failed
# are run once more, alone: who fails again fails, and who passes then is named in the output.
set -euo pipefail
cd "$(dirname "$0")/.."

MOST_AGAIN=5
directories=(tests/unit tests/protocol tests/fuzz tests/ansible)
ended=0
.venv/bin/pytest --cache-clear -n 2 --dist loadfile "${directories[@]}" --ignore tests/ansible/bundles || ended=$?
if ((ended != 1)); then # 1: tests have failed; anything else is no test's fault
    exit "$ended"
fi
failed=$(.venv/bin/python -c 'import json; print(*json.load(open(".pytest_cache/v/cache/lastfailed")), sep="\n")')
count=$(wc -l <<<"$failed")
if ((count > MOST_AGAIN)); then
    echo "$count tests failed; no more than $MOST_AGAIN are tried again."
    exit 1
fi
echo "Failed beside others, now alone:"
echo "$failed"
.venv/bin/pytest --last-failed --last-failed-no-failures none "${directories[@]}"
