"""Bound the answers to those who have not proved who they are, for each source.

For: 401, 438 and Binding answers: their sender address may be forged, and the answer goes to its owner.
Not for: authenticated requests, which quotas bound.

A source is an IPv4 address or an IPv6 /56. Each one falls, by a hash that differs from process to process,
into one of a fixed number of places, which holds one integer of the generic cell rate algorithm. So a flood
from any number of forged sources takes no memory. Two sources may share a place, and then its limit.
"""

import socket
from array import array
from dataclasses import dataclass
from typing import Final

PLACES: Final = 65_536
NANOSECONDS_PER_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyLimit:
    """How many answers one source gets: on average each second, and at one instant."""

    per_second: int = 20
    burst: int = 100

    def __post_init__(self) -> None:
        """Refuse a limit that could never admit anything.

        Raises:
            ValueError: A field is smaller than one.
        """
        if min(self.per_second, self.burst) < 1:
            raise ValueError(f"a limit needs at least one answer a second and a burst of one: {self}")


class ReplyLimiter:
    """Counts the answers of each place; `limit` may be replaced and holds at once."""

    def __init__(self) -> None:
        self._rested_at_ns = array("q", bytes(8 * PLACES))

    def admit(self, limit: ReplyLimit, host: str, now: float) -> bool:
        """Tell whether a source may be answered at `now`, and count the answer if so.

        Source: ITU-T I.371 annex A.1.
        """
        place = hash(source_of(host) if ":" in host else host) % PLACES
        interval_ns = -(-NANOSECONDS_PER_SECOND // limit.per_second)
        now_ns = int(now * NANOSECONDS_PER_SECOND)
        rested_at_ns = max(now_ns, self._rested_at_ns[place])
        if rested_at_ns - (limit.burst - 1) * interval_ns > now_ns:
            return False
        self._rested_at_ns[place] = rested_at_ns + interval_ns
        return True


def source_of(host: str) -> bytes:
    """Return what counts as one source: an IPv4 address, or the /56 that a subscriber commands."""
    if ":" in host:
        return socket.inet_pton(socket.AF_INET6, host)[:7]
    return host.encode()
