"""How much waits, for each domain and in all, and whether more may.

For: whoever adds or removes messages; health and metrics.
Not for: the messages; after a start, it is told what the store holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailnode.exchange.errors import NoSpaceError
from mailnode.federation.errors import TooLargeError
from mailnode.store.mail_store import Usage


@dataclass(slots=True, kw_only=True)
class Shelf:
    """The space there is; a message counts as often as it is on its way."""

    domain_bytes: int
    total_bytes: int
    used_bytes: int = field(init=False, default=0)
    message_count: int = field(init=False, default=0)
    _by_domain: dict[str, int] = field(init=False, default_factory=dict)

    def fill(self, usages: Mapping[str, Usage]) -> None:
        """Count what is there at the start."""
        for domain, usage in usages.items():
            self._add(domain, usage.size_bytes, usage.message_count)

    def reserve(self, domains: Sequence[str], size_bytes: int) -> None:
        """Count a message that is about to wait for each of these domains; one may stand there twice.

        Raises:
            TooLargeError: Not even an empty shelf would have space for it.
            NoSpaceError: There is none now; nothing was counted.
        """
        wanted = {domain: domains.count(domain) * size_bytes for domain in domains}
        if max(wanted.values()) > self.domain_bytes or sum(wanted.values()) > self.total_bytes:
            raise TooLargeError
        is_over = self.used_bytes + sum(wanted.values()) > self.total_bytes
        if is_over or any(
            self._by_domain.get(domain, 0) + bytes_ > self.domain_bytes for domain, bytes_ in wanted.items()
        ):
            raise NoSpaceError
        for domain in domains:
            self._add(domain, size_bytes, 1)

    def holds(self, domain: str) -> bool:
        """Tell whether anything waits for a domain."""
        return domain in self._by_domain

    def release(self, domain: str, sizes: Sequence[int]) -> None:
        """Count messages that wait for a domain no longer."""
        self._add(domain, -sum(sizes), -len(sizes))

    def _add(self, domain: str, size_bytes: int, count: int) -> None:
        self.used_bytes += size_bytes
        self.message_count += count
        left = self._by_domain.get(domain, 0) + size_bytes
        if left > 0:
            self._by_domain[domain] = left
        else:
            self._by_domain.pop(domain, None)
