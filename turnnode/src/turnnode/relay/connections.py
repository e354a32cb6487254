"""Bound the connections of clients: how many, for how long without an allocation, and how slow.

    accepted ─ too many of its source, or in all ─▶ closed at once
        └─▶ TLS handshake ─ 10 s ─▶ first message … ─ 30 s without an allocation ─▶ closed
                                 message begun, not ended ─ 10 s ─▶ closed

For: streams.py, which has the sockets.
Not for: what clients ask for.

A source is what the limiter of answers takes for one: an IPv4 address or an IPv6 /56.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from turnnode.relay.limiter import source_of

HANDSHAKE_SECONDS: Final = 10
MESSAGE_SECONDS: Final = 10
LONELY_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimit:
    """How many connections there may be at once; several people may share one IPv4 address."""

    in_total: int = 4096
    of_one_source: int = 64


class ConnectionCount:
    """Counts the connections that are open, or in their TLS handshake."""

    def __init__(self) -> None:
        self._by_source: Counter[bytes] = Counter()

    @property
    def total(self) -> int:
        """How many there are."""
        return self._by_source.total()

    def admit(self, limit: ConnectionLimit, host: str) -> bool:
        """Count one more, unless that is too many."""
        source = source_of(host)
        if self._by_source[source] >= limit.of_one_source or self.total >= limit.in_total:
            return False
        self._by_source[source] += 1
        return True

    def release(self, host: str) -> None:
        """Count one that was admitted no more."""
        source = source_of(host)
        self._by_source[source] -= 1
        if not self._by_source[source]:
            del self._by_source[source]


@dataclass(slots=True)
class Patience:
    """How long one connection has been of no use; times are those of the server's clock."""

    lonely_since: float
    message_since: float | None = None

    def is_over(self, now: float, *, has_allocation: bool, is_within_message: bool) -> bool:
        """Tell, about once a second, whether to close the connection."""
        if has_allocation:
            self.lonely_since = now
        if not is_within_message:
            self.message_since = None
        elif self.message_since is None:
            self.message_since = now
        is_slow = self.message_since is not None and now - self.message_since >= MESSAGE_SECONDS
        return is_slow or now - self.lonely_since >= LONELY_SECONDS
