"""Count and bound the data of each credential, and of all of them.

    datagram of an allocation ─▶ its credential's volume used up? ▶ dropped
                                 its credential's rate, or the node's, exceeded? ▶ dropped      else ▶ counted

For: what userspace relays; what the kernel has relayed is added each second (`add_elsewhere`), and its
rate is bounded there (kernel/buckets.py).
Not for: how many allocations, permissions and channels there may be (policy.py, allocating.py, requests.py).

Both directions count, as do both ends of a call between two clients of this node. Credentials that were used
are remembered until they end, at most as many as `MAX_REMEMBERED`: of more, idle ones go first.

Names of credentials leave this module only as pseudonyms, made with a key that the fleet shares: nodes agree
on them, and nobody else can make them.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nlargest, nsmallest
from typing import Final

MAX_REMEMBERED: Final = 8192
BURST_SECONDS: Final = 0.5  # of the rate may come at once
PSEUDONYM_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficLimit:
    """How much data there may be; `None` is no limit. Volumes are of payload, until the credential ends."""

    bits_per_second: int | None = None
    bits_per_second_per_credential: int | None = None
    bytes_per_credential: int | None = None


class Rate:
    """A rate that is kept, by the generic cell rate algorithm (ITU-T I.371 annex A.1)."""

    __slots__ = ("_rested_at",)

    def __init__(self) -> None:
        self._rested_at = 0.0

    def admit(self, size_bytes: int, now: float, seconds_per_byte: float) -> bool:
        """Tell whether so much more is within the rate, and count it if so."""
        rested_at = max(now, self._rested_at)
        if rested_at - now > BURST_SECONDS:
            return False
        self._rested_at = rested_at + size_bytes * seconds_per_byte
        return True


@dataclass(slots=True)
class Holdings:
    """How many permissions and channels there are, of one credential or of all."""

    permissions: int = 0
    channels: int = 0


@dataclass(slots=True)
class Usage:
    """What one credential has used, and holds."""

    username: str
    allocations: int = 0
    holdings: Holdings = field(default_factory=Holdings)
    packets: int = 0
    bytes: int = 0
    dropped: int = 0
    rate: Rate = field(default_factory=Rate)


@dataclass(frozen=True, slots=True)
class PseudonymousUsage:
    """What one credential has used, for others to see."""

    pseudonym: str
    allocations: int
    packets: int
    bytes: int
    dropped: int


class UsageTable:
    """The usage of all credentials; `is_limited` tells whether there is any limit, which the policy sets."""

    def __init__(self, max_remembered: int = MAX_REMEMBERED) -> None:
        self._by_username: dict[str, Usage] = {}
        self._max_remembered = max_remembered
        self._total = Rate()
        self.is_limited = False
        self._volume_bytes: float = float("inf")
        self._seconds_per_byte = self._seconds_per_byte_each = 0.0

    def __len__(self) -> int:
        return len(self._by_username)

    def set_limit(self, limit: TrafficLimit) -> None:
        """Put another limit in force; what was used counts on."""
        self.is_limited = limit != TrafficLimit()
        self._seconds_per_byte = _seconds_per_byte(limit.bits_per_second)
        self._seconds_per_byte_each = _seconds_per_byte(limit.bits_per_second_per_credential)
        volume_bytes = limit.bytes_per_credential
        self._volume_bytes = float("inf") if volume_bytes is None else volume_bytes

    def hold(self, username: str) -> Usage:
        """Count one more allocation of a credential; return what its data is counted in."""
        usage = self._by_username.get(username)
        if usage is None:
            self._make_room()
            usage = self._by_username[username] = Usage(username)
        usage.allocations += 1
        return usage

    def is_used_up(self, username: str) -> bool:
        """Tell whether a credential has had its volume."""
        usage = self._by_username.get(username)
        return usage is not None and usage.bytes >= self._volume_bytes

    def admit(self, usage: Usage, size_bytes: int, now: float) -> bool:
        """Tell whether a datagram may be relayed, and count it."""
        if self.is_limited and (
            usage.bytes >= self._volume_bytes
            or not usage.rate.admit(size_bytes, now, self._seconds_per_byte_each)
            or not self._total.admit(size_bytes, now, self._seconds_per_byte)
        ):
            usage.dropped += 1
            return False
        usage.packets += 1
        usage.bytes += size_bytes
        return True

    def add_elsewhere(self, username: str, packets: int, size_bytes: int, dropped: int = 0) -> None:
        """Count what was relayed without us; of a credential that nobody remembers, nothing."""
        usage = self._by_username.get(username)
        if usage is not None:
            usage.packets += packets
            usage.bytes += size_bytes
            usage.dropped += dropped

    def expire(self, unix_seconds: float) -> None:
        """Forget the credentials that have ended."""
        ended = [
            name
            for name, usage in self._by_username.items()
            if not usage.allocations and int(name) <= unix_seconds
        ]
        for name in ended:
            del self._by_username[name]

    def list_largest(self, count: int, key: bytes) -> list[PseudonymousUsage]:
        """List the credentials with the most data, the largest first."""
        return [
            PseudonymousUsage(
                pseudonym_of(usage.username, key),
                usage.allocations,
                usage.packets,
                usage.bytes,
                usage.dropped,
            )
            for usage in nlargest(count, self._by_username.values(), key=_by_size)
        ]

    def _make_room(self) -> None:
        """Forget the idle credentials with the least data, if there are too many.

        They go by the sixteenth of the table: who looks through it for each newcomer does little else.
        """
        if len(self._by_username) < self._max_remembered:
            return
        idle = (usage for usage in self._by_username.values() if not usage.allocations)
        for usage in nsmallest(max(1, self._max_remembered >> 4), idle, key=_by_size):
            del self._by_username[usage.username]


def pseudonym_key(secrets: Iterable[str]) -> bytes:
    """Return the key of pseudonyms, which changes with the newest secret; of no secret, an empty one."""
    newest = next(iter(secrets), "")
    return hmac.digest(newest.encode(), b"pseudonyms of credentials", hashlib.sha256) if newest else b""


def pseudonym_of(username: str, key: bytes) -> str:
    """Return what a credential is called where others see it."""
    return hmac.digest(key, username.encode(), hashlib.sha256).hex()[:PSEUDONYM_DIGITS]


def _seconds_per_byte(bits_per_second: int | None) -> float:
    return 0.0 if bits_per_second is None else 8 / bits_per_second


def _by_size(usage: Usage) -> int:
    return usage.bytes
