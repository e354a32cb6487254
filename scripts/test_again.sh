#!/bin/bash
# Run pytest; the arguments are its whole command.
# Many tests keep real time limits on real sockets and machines, and a busy host can make one late. So up to five that
# failed are run once more, alone: who fails again fails, and who passes then is named in the output.
set -euo pipefail

MOST_AGAIN=5
ended=0
"$@" --cache-clear || ended=$?
if ((ended != 1)); then # 1: tests have failed; anything else is no test's fault
    exit "$ended"
fi
failed=$(python3 -c 'import json; print(*json.load(open(".pytest_cache/v/cache/lastfailed")), sep="\n")')
count=$(wc -l <<<"$failed")
if ((count > MOST_AGAIN)); then
    echo "$count tests failed; no more than $MOST_AGAIN are tried again."
    exit 1
fi
echo "Failed, and now once more, alone:"
echo "$failed"
"$@" --last-failed --last-failed-no-failures none -n 0
