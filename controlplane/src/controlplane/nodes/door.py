"""Decide who may open a channel or redeem a token: a node with a fresh assertion, signed with its own key.

For: the endpoints that nodes call, each with a door of its own: a rush of one closes none of the others.
Not for: admins (admins/callers.py).

Ids of assertions that were used are kept in memory, by each replica for itself. That suffices: an assertion
travels inside TLS and lives for three minutes at most, clock skew included, so whoever could replay it at
another replica, or after a restart of this one, has broken TLS before; and what a channel then gives him are
the node's own signed documents.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from controlplane.errors import NotSignedInError
from nodelink.contract.assertions import Assertion, check_assertion, read_claimed_node
from nodelink.contract.errors import ContractError
from nodelink.contract.keys import PublicKey

MAX_LIVE_IDS_PER_NODE = 500
"""Four times as many as a node needs that reconnects each half second."""


@dataclass(slots=True)
class Door:
    """Checks assertions, and remembers which were used as long as they could be used again."""

    audience: str
    clock: Callable[[], float] = time.time
    max_live_ids: int = MAX_LIVE_IDS_PER_NODE
    _used: dict[str, dict[str, int]] = field(init=False, default_factory=dict)

    def read_claim(self, authorization: str) -> tuple[str, str]:
        """Read an `Authorization` header; return the assertion and the node that it claims to be of.

        Raises:
            NotSignedInError: It is no assertion.
        """
        scheme, _, assertion = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise NotSignedInError(problem="no assertion was shown")
        try:
            return assertion, read_claimed_node(assertion)
        except ContractError as error:
            raise NotSignedInError(problem=str(error)) from error

    def admit(self, assertion: str, public_key: str, content_digest: str | None = None) -> None:
        """Let a node in whose key is `public_key`, once for each assertion.

        Args:
            assertion: What it shows.
            public_key: With what that must be signed.
            content_digest: For what alone it must be made; `None` for a channel.

        Raises:
            NotSignedInError: The assertion does not hold, was used before, or comes too often.
        """
        now_seconds = int(self.clock())
        try:
            checked = check_assertion(
                assertion, PublicKey(public_key), audience=self.audience, now_seconds=now_seconds
            )
        except ContractError as error:
            raise NotSignedInError(problem=str(error)) from error
        if checked.content_digest != content_digest:
            raise NotSignedInError(problem="the assertion is for something else")
        self._use_up(checked, now_seconds)

    def _use_up(self, checked: Assertion, now_seconds: int) -> None:
        live = {
            used: expires_at
            for used, expires_at in self._used.get(checked.node, {}).items()
            if expires_at > now_seconds
        }
        self._used[checked.node] = live
        if checked.id in live:
            raise NotSignedInError(problem="the assertion was used before")
        if len(live) >= self.max_live_ids:
            raise NotSignedInError(problem="the node connects too often")
        live[checked.id] = checked.expires_at_seconds
