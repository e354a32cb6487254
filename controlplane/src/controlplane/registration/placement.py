"""Decide on which mail node a new account is made.

For: pure functions.
Not for: gathering what is known of the nodes, or making the account (service.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Candidate:
    """A mail node, as far as new accounts are concerned.

    `accounts` are those that it has or is about to have; one of weight 0 gets none.
    """

    node: str
    weight: int
    accounts: int
    is_open: bool
    is_connected: bool
    is_token_needed: bool = False
    is_draining: bool = False
    makes_unknown_logins: bool = False

    def for_admins(self) -> "Candidate":
        """Return the node as an admin sees it, who makes accounts also where registration is closed."""
        return replace(self, is_open=not self.is_draining, is_token_needed=False)


def order_by_room(candidates: Iterable[Candidate]) -> list[str]:
    """Order the nodes that may be asked, the one with the most room first.

    Room is measured by the accounts for each unit of weight, the new one included: so in the long run a node
    of weight 50 has half as many accounts as one of weight 100.
    """
    usable = [
        candidate
        for candidate in candidates
        if candidate.weight > 0 and candidate.is_open and candidate.is_connected
    ]
    usable.sort(key=lambda candidate: ((candidate.accounts + 1) / candidate.weight, candidate.node))
    return [candidate.node for candidate in usable]
