"""What the node tells every app by METADATA: whom to ask for help, how to call, how many recipients to name.

For: the IMAP server, which asks at each GETMETADATA.
Not for: entries that users set (store).

Source: the names are Delta Chat's; an app that sees `maxsmtprecipients` also hands in its push token.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailnode.calls import make_turn_entry
from mailnode.store.mail_store import Account
from nodelink.contract.states import TurnAccess

MAX_RECIPIENTS = 1000
VENDOR = "/shared/vendor/deltachat"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeMetadata:
    """The entries below `/shared`. `read_turn` tells how calls go now; `None` = no TURN node."""

    support_contact: str
    read_turn: Callable[[], TurnAccess | None]
    clock_seconds: Callable[[], float] = time.time

    def read(self, account: Account) -> Mapping[str, str]:
        """Read all entries, as this account sees them."""
        entries = {
            "/shared/admin": self.support_contact,
            f"{VENDOR}/maxsmtprecipients": str(MAX_RECIPIENTS),
        }
        access = self.read_turn()
        if access is not None:
            entries[f"{VENDOR}/turn"] = make_turn_entry(account.id, access, int(self.clock_seconds()))
        return entries
