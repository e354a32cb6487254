"""Whether sleeping apps are woken: the three modes of it, and how it goes on the nodes.

    off    nobody is woken
    on     nodes try, with growing pauses for each device
    auto   the same, and a node pauses for an hour after five failures in a row

For: the settings by name and the Madmail admin RPC. On its own, the policy has two switches for it.
Not for: waking; mail nodes do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from controlplane.policy.models import PolicyValues
from nodelink.contract.figures import PUSH_FAILURES
from nodelink.contract.reports import Report
from nodelink.contract.states import PUSH_FAILURES_BEFORE_PAUSE, NodeKind

PROXY_VARIABLE = "mailnode_notification_proxy"


class PushMode(StrEnum):
    """The modes, as Madmail calls them."""

    OFF = "off"
    ON = "on"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class PushFigures:
    """How it goes. `has_proxy` is false where every node that has reported knows none."""

    has_proxy: bool
    successes: int
    failures_in_a_row: int
    is_pausing: bool


def read_mode(policy: PolicyValues) -> PushMode:
    """Tell the mode of a policy."""
    if not policy.push_enabled:
        return PushMode.OFF
    return PushMode.AUTO if policy.push_pauses else PushMode.ON


def write_mode(mode: PushMode) -> dict[str, bool]:
    """Tell what a policy says in a mode; off, it remembers how it was on."""
    match mode:
        case PushMode.OFF:
            return {"push_enabled": False}
        case PushMode.ON | PushMode.AUTO:
            return {"push_enabled": True, "push_pauses": mode is PushMode.AUTO}


def add_up_push(mode: PushMode, reports: Iterable[Report]) -> PushFigures:
    """Add up what mail nodes have reported; of failures in a row, the worst counts."""
    told = [report.figures for report in reports if report.kind is NodeKind.MAIL]
    failures = [int(each[PUSH_FAILURES]) for each in told if PUSH_FAILURES in each]
    return PushFigures(
        has_proxy=bool(failures) or not told,
        successes=int(sum(each.get("notifications_pushed", 0) for each in told)),
        failures_in_a_row=max(failures, default=0),
        is_pausing=mode is PushMode.AUTO and min(failures, default=0) >= PUSH_FAILURES_BEFORE_PAUSE,
    )
