"""What went to each peer and came from it: the traffic table.

For: report, metrics, and the live query.
Not for: names of accounts; a row is a domain and nothing else.

Counted in memory since the start. The peer that was idle longest is forgotten when there are too many.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from nodelink.contract.federation import PeersAnswer, PeerTraffic, PeerTransport

MAX_PEERS = 10_000
LATENCY_WEIGHT = 0.1
MAX_PROBLEM_CHARACTERS = 300


@dataclass(slots=True)
class _Row:
    delivered: Counter[PeerTransport] = field(default_factory=Counter)
    failed: Counter[PeerTransport] = field(default_factory=Counter)
    queued: int = 0
    refused: int = 0
    received: int = 0
    latency_seconds: float | None = None
    last_seen_seconds: int | None = None
    last_problem: str | None = None


@dataclass(slots=True, kw_only=True)
class Traffic:
    """The table."""

    clock_seconds: Callable[[], float] = time.time
    max_peers: int = MAX_PEERS
    totals: Counter[str] = field(init=False, default_factory=Counter)
    _rows: dict[str, _Row] = field(init=False, default_factory=dict)

    def note_queued(self, domain: str, change: int) -> None:
        """Hear that so many messages more (or fewer) wait for a peer."""
        row = self._touch(domain)
        row.queued = max(0, row.queued + change)

    def set_queued(self, domain: str, count: int) -> None:
        """Hear how many messages wait for a peer: what waited at the start, or is left by a purge."""
        self._touch(domain).queued = count

    def note_delivered(self, domain: str, transport: PeerTransport, seconds: float) -> None:
        """Hear that a message was handed over; `seconds` is how long it took from the queue."""
        row = self._touch(domain)
        row.delivered[transport] += 1
        self.totals[f"delivered_{transport}"] += 1
        former = row.latency_seconds
        row.latency_seconds = seconds if former is None else former + LATENCY_WEIGHT * (seconds - former)
        row.last_seen_seconds = int(self.clock_seconds())

    def note_failed(self, domain: str, transport: PeerTransport | None, reason: str) -> None:
        """Hear that an attempt failed; `None` where it did not come to a transport."""
        row = self._touch(domain)
        if transport is not None:
            row.failed[transport] += 1
            self.totals[f"failed_{transport}"] += 1
        row.last_problem = reason[:MAX_PROBLEM_CHARACTERS]

    def note_refused(self, domain: str, reason: str) -> None:
        """Hear that a message will never be let through."""
        row = self._touch(domain)
        row.refused += 1
        self.totals["refused"] += 1
        row.last_problem = reason[:MAX_PROBLEM_CHARACTERS]

    def note_received(self, domain: str) -> None:
        """Hear that a message was taken."""
        row = self._touch(domain)
        row.received += 1
        self.totals["received"] += 1
        row.last_seen_seconds = int(self.clock_seconds())

    def note_dropped(self) -> None:
        """Hear that a message of an exchanger is not taken, and that nobody can be told."""
        self.totals["dropped"] += 1

    def read_figures(self) -> dict[str, float]:
        """Read what is counted over all peers, by its name in reports and metrics."""
        names = [f"{verb}_{transport}" for verb in ("delivered", "failed") for transport in PeerTransport]
        return {f"peer_{name}": self.totals[name] for name in (*names, "refused", "received", "dropped")}

    def list_peers(self, limit: int) -> PeersAnswer:
        """List the peers that something happened with last."""
        latest = list(self._rows.items())[: -limit - 1 : -1]
        return PeersAnswer(peers=tuple(_describe(*each) for each in latest), total=len(self._rows))

    def _touch(self, domain: str) -> _Row:
        row = self._rows.pop(domain, None) or _Row()
        if len(self._rows) >= self.max_peers:
            del self._rows[next(iter(self._rows))]
        self._rows[domain] = row
        return row


def _describe(domain: str, row: _Row) -> PeerTraffic:
    return PeerTraffic(
        domain=domain,
        queued=row.queued,
        delivered_https=row.delivered[PeerTransport.HTTPS],
        delivered_http=row.delivered[PeerTransport.HTTP],
        delivered_smtp=row.delivered[PeerTransport.SMTP],
        failed_https=row.failed[PeerTransport.HTTPS],
        failed_http=row.failed[PeerTransport.HTTP],
        failed_smtp=row.failed[PeerTransport.SMTP],
        refused=row.refused,
        received=row.received,
        mean_latency_seconds=row.latency_seconds,
        last_seen_seconds=row.last_seen_seconds,
        last_problem=row.last_problem,
    )
