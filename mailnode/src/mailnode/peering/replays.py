"""Tell a message that somebody sends on from one that its own server sends once more.

For: reception. A signature says nothing of recipients, so who got hold of a signed message could send it to
others. The first source that brings a signature is taken for the server of its author; another source of the
same family (IPv4 or IPv6: a server may use both) may not bring it to anybody else. Each exchanger is a family
of its own: a server may leave there for one recipient what it brings to another one itself.
Not for: the same message twice to the same recipients, which the store tells (`deliver_once`).

In memory: after a restart the first source counts anew. A network has a part of that memory at most, so that
none alone can have what others brought forgotten.
"""

import ipaddress
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from mailnode.accounts.rate_limit import find_network

REMEMBERED_SECONDS = 3 * 86_400
MAX_REMEMBERED = 50_000
MAX_OF_NETWORK = MAX_REMEMBERED // 4


@dataclass(slots=True)
class _Seen:
    at_seconds: float
    network: str
    sources: dict[int | str, str]
    recipients: set[str]


@dataclass(slots=True, kw_only=True)
class Replays:
    """What was seen lately, by its signature."""

    clock_seconds: Callable[[], float] = time.time
    max_remembered: int = MAX_REMEMBERED
    max_of_network: int = MAX_OF_NETWORK
    _seen: dict[bytes, _Seen] = field(init=False, default_factory=dict)
    _networks: dict[str, dict[bytes, None]] = field(init=False, default_factory=dict)

    def admit(self, signature: bytes, source: str, recipients: Collection[str]) -> bool:
        """Tell whether a source may bring a signed message to these recipients, and remember that it did.

        Args:
            signature: What proves the message.
            source: An address or network (`rate_limit.find_prefix`), or the URL of an exchanger.
            recipients: Addresses.
        """
        now_seconds = self.clock_seconds()
        self._forget(now_seconds)
        seen = self._seen.get(signature)
        family = _find_family(source)
        if seen is None:
            network = find_network(source)
            self._remember(signature, _Seen(now_seconds, network, {family: source}, set(recipients)))
            return True
        if seen.sources.setdefault(family, source) == source:
            seen.recipients.update(recipients)
            return True
        return seen.recipients.issuperset(recipients)

    def _remember(self, signature: bytes, seen: _Seen) -> None:
        if len(self._networks.get(seen.network, ())) >= self.max_of_network:
            self._drop(next(iter(self._networks[seen.network])))
        if len(self._seen) >= self.max_remembered:
            self._drop(next(iter(self._seen)))
        self._seen[signature] = seen
        self._networks.setdefault(seen.network, {})[signature] = None

    def _forget(self, now_seconds: float) -> None:
        while self._seen:
            first = next(iter(self._seen))
            if self._seen[first].at_seconds > now_seconds - REMEMBERED_SECONDS:
                return
            self._drop(first)

    def _drop(self, signature: bytes) -> None:
        network = self._seen.pop(signature).network
        del self._networks[network][signature]
        if not self._networks[network]:
            del self._networks[network]


def _find_family(source: str) -> int | str:
    """Find what stands for all sources of a kind: the version of an address, or an exchanger itself."""
    try:
        return ipaddress.ip_network(source).version
    except ValueError:
        return source
