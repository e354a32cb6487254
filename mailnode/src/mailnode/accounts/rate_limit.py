"""How often somebody may try: the generic cell rate algorithm (GCRA), one integer a key.

For: bounding what one network address can cost this node: new accounts, failed logins.
Not for: waiting or replies; the caller refuses.

The integer is the moment at which a key has earned back all that it spent. What was spent without asking
(`spend`) may move it beyond the burst: such a debt is paid off before anything is admitted again.

Source: ITU-T I.371 annex A.1.
"""

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

NANOSECONDS_PER_MINUTE = 60 * 1_000_000_000
MAX_KEYS = 65_536
IPV4_NETWORK_BITS = 24
IPV6_PREFIX_BITS = 56
REMEMBERED_PREFIXES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """`per_minute` events on average, `burst` of them at one instant; both at least 1."""

    per_minute: int
    burst: int

    def __post_init__(self) -> None:
        """Refuse a limit that could never admit anything. Raises: ValueError."""
        if min(self.per_minute, self.burst) < 1:
            raise ValueError(f"a rate limit needs at least one event a minute and a burst of one: {self}")

    @property
    def interval_ns(self) -> int:
        """The time that earns back one event, rounded up so that rounding admits nothing extra."""
        return -(-NANOSECONDS_PER_MINUTE // self.per_minute)


@dataclass(slots=True)
class RateLimiter:
    """Remembers what at most `max_keys` keys have spent; the one longest untouched is forgotten first.

    `limit` `None` admits everything.
    """

    limit: RateLimit | None
    clock_ns: Callable[[], int] = time.monotonic_ns
    max_keys: int = MAX_KEYS
    _rested_at_ns: dict[str, int] = field(init=False, default_factory=dict)

    def may(self, key: str) -> bool:
        """Tell whether one more event of this key is within the limit; nothing is spent."""
        rested_at_ns = self._rested_at_ns.get(key)
        if self.limit is None or rested_at_ns is None:
            return True
        return rested_at_ns - self.clock_ns() <= (self.limit.burst - 1) * self.limit.interval_ns

    def spend(self, key: str) -> None:
        """Count one event, within the limit or not."""
        if self.limit is None:
            return
        now_ns = self.clock_ns()
        rested_at_ns = max(now_ns, self._rested_at_ns.pop(key, now_ns))
        while len(self._rested_at_ns) >= self.max_keys:
            del self._rested_at_ns[next(iter(self._rested_at_ns))]
        self._rested_at_ns[key] = rested_at_ns + self.limit.interval_ns

    def try_spend(self, key: str) -> bool:
        """Count one event if it is within the limit; tell whether it was."""
        is_within = self.may(key)
        if is_within:
            self.spend(key)
        return is_within


@lru_cache(REMEMBERED_PREFIXES)
def find_prefix(client_address: str) -> str:
    """Find what stands for one customer: an IPv4 address, or the /56 that an IPv6 access usually has.

    Whatever is no IP address stands for itself.
    """
    try:
        address = ipaddress.ip_address(client_address.partition("%")[0])
    except ValueError:
        return client_address
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, IPV6_PREFIX_BITS), strict=False))


@lru_cache(REMEMBERED_PREFIXES)
def find_network(client_address: str) -> str:
    """Find what stands for one operator of addresses: an IPv4 /24, or as `find_prefix` an IPv6 /56.

    For creating accounts: whoever wants many of them rents neighbouring addresses.
    """
    prefix = find_prefix(client_address)
    try:
        return str(ipaddress.IPv4Network((prefix, IPV4_NETWORK_BITS), strict=False))
    except ValueError:
        return prefix
