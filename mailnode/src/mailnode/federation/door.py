"""Decide who may hand mail over: a sibling that shows a fresh assertion about this very delivery.

For: the endpoint.
Not for: what is in the delivery (inbound.py).

The ids of assertions that were used are kept in memory. After a restart, one that was overheard within its
three minutes could be shown again; its delivery would be the same one, and is known by its id.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mailnode.federation.errors import NotAdmittedError
from mailnode.federation.siblings import Sibling, Siblings
from nodelink.contract.assertions import Assertion, check_assertion, read_claimed_node
from nodelink.contract.errors import ContractError

MAX_LIVE_IDS_PER_NODE = 200_000
"""A thousand deliveries a second, for as long as an assertion lives."""


@dataclass(slots=True)
class Door:
    """Checks assertions for our mail domain, and remembers which were used."""

    domain: str
    siblings: Siblings
    clock_seconds: Callable[[], float] = time.time
    _used: dict[str, dict[str, int]] = field(init=False, default_factory=dict)

    def admit(self, authorization: str) -> tuple[Sibling, str]:
        """Let a sibling in, once for each assertion; returns it, and the digest of what it hands over.

        Raises:
            NotAdmittedError: The assertion is none, does not hold, or was used before.
        """
        scheme, _, assertion = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise NotAdmittedError("no assertion")
        now_seconds = int(self.clock_seconds())
        try:
            sibling = self.siblings.find_node(read_claimed_node(assertion))
            if sibling is None:
                raise NotAdmittedError("no node of the fleet")
            checked = check_assertion(
                assertion, sibling.public_key, audience=self.domain, now_seconds=now_seconds
            )
        except ContractError as error:
            raise NotAdmittedError(str(error)) from error
        if checked.node != sibling.node or checked.content_digest is None:
            raise NotAdmittedError("the assertion is not about a delivery")
        self._use_up(checked, now_seconds)
        return sibling, checked.content_digest

    def _use_up(self, checked: Assertion, now_seconds: int) -> None:
        used = self._used.setdefault(checked.node, {})
        while used and next(iter(used.values())) <= now_seconds:  # about in the order in which they expire
            del used[next(iter(used))]
        if checked.id in used:
            raise NotAdmittedError("the assertion was used before")
        if len(used) >= MAX_LIVE_IDS_PER_NODE:
            raise NotAdmittedError("the node delivers too often")
        used[checked.id] = checked.expires_at_seconds
