"""Which pages somebody is offered, and what he may do on them.

For: templates; what is not offered is refused by the gates all the same.
Not for: refusing (admins/callers.py).
"""

from dataclasses import dataclass

from controlplane.admins.access import WHOLE_FLEET, Role, is_trusted
from controlplane.admins.tokens import Caller


@dataclass(frozen=True, slots=True)
class Offer:
    """What a caller may do. `fleet` is said where only a scope of the whole fleet is enough."""

    caller: Caller

    @property
    def sees_fleet(self) -> bool:
        """Whether he sees all of it."""
        return self.caller.scope == WHOLE_FLEET

    @property
    def changes(self) -> bool:
        """Whether he changes what is in his scope."""
        return is_trusted(self.caller.role, Role.OPERATOR)

    @property
    def changes_fleet(self) -> bool:
        """Whether he changes what is the whole fleet's."""
        return self.changes and self.sees_fleet

    @property
    def owns(self) -> bool:
        """Whether he decides who may steer."""
        return self.caller.role is Role.OWNER

    @property
    def pages(self) -> list[tuple[str, str]]:
        """List names and addresses of the pages that he is offered."""
        pages = [("overview", "/admin"), ("groups", "/admin/groups")]
        if self.sees_fleet:
            pages += [("registration", "/admin/registration"), ("turn", "/admin/turn")]
        pages += [("accounts", "/admin/accounts"), ("operations", "/admin/operations")]
        pages.append(("federation", "/admin/federation" if self.sees_fleet else "/admin/federation/servers"))
        if self.owns:
            pages.append(("tokens", "/admin/admin-tokens"))
        if self.sees_fleet:
            pages.append(("audit", "/admin/audit"))
        return pages
