"""Which figures of the last day are drawn, and how.

For: the overview and the pages of nodes; charts.js draws what `/admin/…/history` hands out.
Not for: the figures (health/samples.py).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from controlplane.health.sample_models import HistoryPublic
from nodelink.contract.states import NodeKind

Unit = Literal["number", "bytes", "seconds"]
Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its title in texts.charts, and the figures on it with their names there."""

    title: str
    unit: Unit
    lines: tuple[tuple[str, str], ...]

    def write_lines(self, texts: Texts) -> str:
        """Write the figures and their names for the script."""
        return json.dumps([{"figure": figure, "name": texts[name]} for figure, name in self.lines])

    def is_known(self, history: HistoryPublic) -> bool:
        """Tell whether there is anything to draw."""
        return any(value is not None for figure, _ in self.lines for value in history.figures.get(figure, ()))

    def read_latest(self, history: HistoryPublic) -> list[tuple[str, float | None]]:
        """Read the latest value of each figure."""
        return [(name, read_latest(history, figure)) for figure, name in self.lines]


_LOAD = Chart("load", "seconds", (("loop_lag_seconds", "lag"),))
_MESSAGES = Chart(
    "messages", "number", (("messages_accepted", "from_users"), ("messages_received", "from_nodes"))
)
_SESSIONS = Chart("sessions", "number", (("imap_sessions", "imap"), ("smtp_sessions", "smtp")))
_ACCOUNTS = Chart("accounts", "number", (("accounts", "accounts"),))
_QUEUE = Chart("queue", "number", (("queued_messages", "queued"),))
_RELAYED = Chart("relayed", "bytes", (("bytes_to_peers", "to_peers"), ("bytes_to_clients", "to_clients")))
_ALLOCATIONS = Chart("allocations", "number", (("allocations", "live"),))

FLEET_CHARTS = (
    Chart("nodes", "number", (("connected_nodes", "connected"),)),
    _ACCOUNTS,
    _MESSAGES,
    _SESSIONS,
    Chart("storage", "bytes", (("store_bytes", "store"),)),
    _QUEUE,
    _ALLOCATIONS,
    _RELAYED,
    _LOAD,
)
NODE_CHARTS: Mapping[NodeKind, Sequence[Chart]] = {
    NodeKind.MAIL: (
        _ACCOUNTS,
        _MESSAGES,
        _SESSIONS,
        Chart("storage", "bytes", (("store_bytes", "store"), ("disk_free_bytes", "disk_free"))),
        _QUEUE,
        _LOAD,
    ),
    NodeKind.TURN: (_ALLOCATIONS, _RELAYED, _LOAD),
}


def read_latest(history: HistoryPublic, *figures: str) -> float | None:
    """Read the latest value of figures together; `None` where none of them is known."""
    found = [
        next((value for value in reversed(history.figures.get(figure, [])) if value is not None), None)
        for figure in figures
    ]
    known = [value for value in found if value is not None]
    return sum(known) if known else None
