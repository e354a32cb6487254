"""What an exchanger counts, for its health page and for Prometheus. No figure names anybody.

For: all parts, which count; daemon.py, which shows.
Not for: the figures of nodes (nodelink.contract.figures): nobody collects an exchanger's but its operator.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from nodelink.contract.figures import LOOP_LAG, Figure, FigureKind

METRICS_PREFIX = "exchanger"


@dataclass(slots=True)
class Counts:
    """What has happened since the start, in messages; but for tokens, which are requests."""

    received: int = 0
    refused: int = 0
    fetched: int = 0
    forwarded: int = 0
    expired: int = 0
    given_up: int = 0
    wrong_tokens: int = 0

    def as_mapping(self) -> dict[str, int]:
        """Return all of them by name."""
        return asdict(self)


def _counter(meaning: str) -> Figure:
    return Figure(FigureKind.COUNTER, meaning)


FIGURES: Mapping[str, Figure] = {
    "waiting_messages": Figure(FigureKind.GAUGE, "Messages that wait, to be fetched or to be forwarded."),
    "waiting_bytes": Figure(FigureKind.GAUGE, "How large they are."),
    "received": _counter("Messages taken."),
    "refused": _counter("Messages refused, here or by the next server at once."),
    "fetched": _counter("Messages that the server of their domain has fetched and acknowledged."),
    "forwarded": _counter("Messages handed on."),
    "expired": _counter("Messages dropped because nobody has fetched them in time."),
    "given_up": _counter(
        "Messages dropped because the next server refused them, or was not reached in time."
    ),
    "wrong_tokens": _counter("Requests without the right token."),
    LOOP_LAG: Figure(FigureKind.GAUGE, "How late the event loop was, at the worst of the last seconds."),
}
