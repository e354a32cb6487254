"""When a notification is tried again, and when it is given up.

    200 to 299            done
    410                   the app is gone: forget the token
    anything else, none   again after 8, 64, 512 … seconds, five hours in all

For: pusher.py; pure functions.
Not for: sending (proxy.py).

Source: chatmail relays, `notifier.py`; Madmail does the same.
"""

from enum import Enum

GIVE_UP_SECONDS = 5 * 3600
BACK_OFF_BASE = 8
GONE = 410


class Outcome(Enum):
    """What came of an attempt."""

    DONE = "done"
    GONE = "gone"
    FAILED = "failed"


def judge_status(status: int) -> Outcome:
    """Judge the proxy's answer."""
    if 200 <= status < 300:
        return Outcome.DONE
    return Outcome.GONE if status == GONE else Outcome.FAILED


def find_next_attempt(queued_at_seconds: int, failures: int, now_seconds: int) -> int | None:
    """Find when a token is tried again after so many failures (1 or more); `None` when it is given up."""
    next_attempt_at_seconds = int(now_seconds + BACK_OFF_BASE**failures)
    is_overdue = next_attempt_at_seconds - queued_at_seconds > GIVE_UP_SECONDS
    return None if is_overdue else next_attempt_at_seconds
