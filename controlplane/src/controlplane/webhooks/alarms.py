"""Decide what of the fleet's state is worth a message, and when it is over.

    begins ──▶ raised, told ──▶ clear ──▶ still clear after five minutes: resolved, told
                  ▲               │
                  └── again ◀─────┘      nothing is told: something that comes and goes is one message

For: pure functions.
Not for: whom to tell (deliveries.py).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from controlplane.nodes.models import NodePublic
from controlplane.webhooks.models import EventName
from nodelink.contract.states import NodeKind

DOWN_SECONDS = 60
"""A restart of a node, or of the control plane, is no message."""
CLEAR_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on something is worth a message to a receiver. `events` are empty for all."""

    events: Collection[EventName]
    burst_accounts: int
    disk_percent: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is so now. `subject` is the node, or empty for the fleet; `text` is for people."""

    event: EventName
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """What was told. `clear_since_seconds` is `None` while it lasts."""

    clear_since_seconds: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new since the last look: begun, over, again or clear since now. Only the first two are told."""

    raised: Sequence[Alarm]
    resolved: Sequence[tuple[EventName, str]]
    again: Sequence[tuple[EventName, str]]
    cleared: Sequence[tuple[EventName, str]]


def find_alarms(nodes: Iterable[NodePublic], new_accounts: float, limits: Limits) -> list[Alarm]:
    """Find what is so now. `new_accounts` are those of the fleet in the last minute."""
    found: list[Alarm] = []
    failing: dict[str, list[str]] = {}
    for node in nodes:
        found += _judge_node(node, limits)
        if node.report is not None and node.is_connected and node.kind is NodeKind.TURN:
            for probe in node.report.probes:
                if probe.problem is not None:
                    failing.setdefault(probe.peer, []).append(f"{node.name}: {probe.problem}")
    found += [
        Alarm(EventName.CALL_PROBE_FAILING, peer, f"Calls through {peer} fail. " + " ".join(problems[:3]))
        for peer, problems in sorted(failing.items())
    ]
    if new_accounts >= limits.burst_accounts:
        text = f"{new_accounts:.0f} accounts were made within a minute."
        found.append(Alarm(EventName.REGISTRATION_BURST, "", text))
    return [alarm for alarm in found if not limits.events or alarm.event in limits.events]


def compare(alarms: Iterable[Alarm], told: Mapping[tuple[EventName, str], Told], now_seconds: int) -> Changes:
    """Compare what is so now with what was told."""
    now = {(alarm.event, alarm.subject): alarm for alarm in alarms}
    over = {key: entry for key, entry in told.items() if key not in now}
    return Changes(
        raised=[alarm for key, alarm in now.items() if key not in told],
        resolved=[
            key
            for key, entry in over.items()
            if entry.clear_since_seconds is not None
            and now_seconds - entry.clear_since_seconds >= CLEAR_SECONDS
        ],
        again=[key for key in now if key in told and told[key].clear_since_seconds is not None],
        cleared=[key for key, entry in over.items() if entry.clear_since_seconds is None],
    )


def _judge_node(node: NodePublic, limits: Limits) -> Iterable[Alarm]:
    if node.report is None or node.report_age_seconds is None:
        return  # it has never been there
    if node.report_age_seconds >= DOWN_SECONDS:
        yield Alarm(
            EventName.NODE_DOWN,
            node.name,
            f"Nothing was heard of {node.name} for {DOWN_SECONDS} s or longer.",
        )
        return
    near_quota = node.report.figures.get("accounts_near_quota", 0.0)
    if near_quota > 0:
        yield Alarm(
            EventName.QUOTA, node.name, f"{near_quota:.0f} accounts of {node.name} are near their quota."
        )
    size, free = (node.report.figures.get(name, 0.0) for name in ("disk_bytes", "disk_free_bytes"))
    if size > 0 and (size - free) * 100 >= size * limits.disk_percent:
        percent = (size - free) * 100 / size
        yield Alarm(EventName.DISK_FULL, node.name, f"The disk of {node.name} is {percent:.0f} % full.")
