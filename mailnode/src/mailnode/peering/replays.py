"""Tell a message that somebody sends on from one that its own server sends once more.

For: reception. A signature says nothing of recipients, so who got hold of a signed message could send it to
others. The first source that brings a signature is taken for the server of its author; another source of the
same family (IPv4 or IPv6: a server may use both) may not bring it to anybody else.
Not for: the same message twice to the same recipients, which the store tells (`deliver_once`).

In memory: after a restart the first source counts anew.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

REMEMBERED_SECONDS = 3 * 86_400
MAX_REMEMBERED = 50_000


@dataclass(slots=True)
class _Seen:
    at_seconds: float
    sources: dict[bool, str]
    recipients: set[str]


@dataclass(slots=True, kw_only=True)
class Replays:
    """What was seen lately, by its signature."""

    clock_seconds: Callable[[], float] = time.time
    max_remembered: int = MAX_REMEMBERED
    _seen: dict[bytes, _Seen] = field(init=False, default_factory=dict)

    def admit(self, signature: bytes, source: str, recipients: Collection[str]) -> bool:
        """Tell whether a source may bring a signed message to these recipients, and remember that it did."""
        now_seconds = self.clock_seconds()
        self._forget(now_seconds)
        seen = self._seen.get(signature)
        is_ipv6 = ":" in source
        if seen is None:
            while len(self._seen) >= self.max_remembered:
                del self._seen[next(iter(self._seen))]
            self._seen[signature] = _Seen(now_seconds, {is_ipv6: source}, set(recipients))
            return True
        if seen.sources.setdefault(is_ipv6, source) == source:
            seen.recipients.update(recipients)
            return True
        return seen.recipients.issuperset(recipients)

    def _forget(self, now_seconds: float) -> None:
        while self._seen:
            first = next(iter(self._seen))
            if self._seen[first].at_seconds > now_seconds - REMEMBERED_SECONDS:
                return
            del self._seen[first]
