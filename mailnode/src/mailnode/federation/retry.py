"""When a delivery is tried again, and when not.

For: lane.py; pure functions.
Not for: sending.

    answered 2xx                     delivered
    answered 4xx, 507                refused: nothing will change by trying again      but 408, 429
    anything else that is answered   this message again later
    no connection                    everything for that node again later
"""

from dataclasses import dataclass, field

GIVE_UP_SECONDS = 2 * 86_400
HOUR_SECONDS = 3_600
FIRST_PAUSE_SECONDS = 2.0
LONGEST_MESSAGE_PAUSE_SECONDS = 600.0
LONGEST_NODE_PAUSE_SECONDS = 30.0
"""A node that was away gets its mail this long after it is back, at the latest."""
LONGEST_PEER_PAUSE_SECONDS = 900.0
"""As long for servers of others, which are many."""

TRY_AGAIN = frozenset({408, 429})
MAILBOX_FULL = 507


@dataclass(frozen=True, slots=True)
class Delivered:
    """The other side has it, for most recipients.

    `refused` will never get it there, `later` may if it is tried again; each with the reason.
    """

    refused: dict[str, str] = field(default_factory=dict)
    later: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The other node will never take it. `reason` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It may be taken later. `is_of_node` tells that the node could not be reached at all."""

    reason: str
    is_of_node: bool


Outcome = Delivered | Refused | Failed


def judge_status(status: int, text: str) -> Refused | Failed | None:
    """Judge the status of an answer; `None` where the delivery was taken."""
    if 200 <= status < 300:
        return None
    reason = f"{status} {text}".strip()
    if status == MAILBOX_FULL or (400 <= status < 500 and status not in TRY_AGAIN):
        return Refused(reason)
    return Failed(reason, is_of_node=False)


def is_overdue(queued_at_seconds: float, now_seconds: float, give_up_seconds: int = GIVE_UP_SECONDS) -> bool:
    """Tell whether a message has waited so long that its sender must hear of it."""
    return now_seconds - queued_at_seconds >= give_up_seconds


def explain_overdue(reason: str, give_up_seconds: int) -> str:
    """Tell a sender that his message has waited too long, and for what at last."""
    hours = give_up_seconds / HOUR_SECONDS
    waited = f"{hours:g} hours" if hours >= 1 else f"{give_up_seconds} seconds"
    return f"not reached for {waited}, at last: {reason}"


def pause_after(failures: int, longest_seconds: float, draw: float) -> float:
    """Compute the pause after so many failures in a row (1 or more).

    Args:
        failures: How many there have been.
        longest_seconds: Where it stops growing.
        draw: A random number from 0 to 1, so that not everybody comes back at the same moment.
    """
    grown = min(longest_seconds, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 30))
    return float(grown * (0.5 + draw / 2))
