"""Say who a recipient is.

For: RCPT. An account of this node goes first; what is not of its domain may be of another node's.
Not for: quota (submission.py), or how mail gets to other nodes (federation).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.address import MailDomain
from mailnode.accounts.errors import BadAddressError
from mailnode.federation.delivery import may_travel
from mailnode.smtp.replies import BAD_RECIPIENT, FOREIGN_RECIPIENT, TRY_LATER, UNKNOWN_RECIPIENT
from mailnode.smtp.syntax import CommandError
from mailnode.store.mail_store import Account, Envelope


class Outbound(Protocol):
    """The way to other nodes; `mailnode.federation.outbound.Outbound` is one."""

    def find_destination(self, domain: str) -> str | None:
        """Find where mail for a domain goes; `None` where that is nowhere."""

    def explain(self, domain: str) -> str | None:
        """Tell why mail for a domain goes nowhere; `None` where that is not known."""

    def has_room(self) -> bool:
        """Tell whether more may be queued."""

    def note_queued(self, envelopes: Sequence[Envelope], size_bytes: int) -> None:
        """Hear that a message is in the queue."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody of another node."""

    address: str
    destination: str


async def find_recipient(accounts: Accounts, address: str, outbound: Outbound | None) -> Account | Foreign:
    """Find the account of a recipient, or where mail for him goes.

    Raises:
        CommandError: There is none, or the address is one of a domain that we have no way to.
        StoreUnavailableError: It cannot be looked up now.
    """
    account = await accounts.find_recipient(address)
    if account is not None:
        return account
    domain = address.rpartition("@")[2]
    if _is_same(domain, accounts.domain):
        raise CommandError(UNKNOWN_RECIPIENT)
    destination = None if outbound is None else outbound.find_destination(domain)
    if outbound is None or destination is None:
        reason = None if outbound is None else outbound.explain(domain)
        raise CommandError(FOREIGN_RECIPIENT if reason is None else replace(FOREIGN_RECIPIENT, text=reason))
    if not may_travel(address):
        raise CommandError(BAD_RECIPIENT)
    if not outbound.has_room():
        raise CommandError(TRY_LATER)
    return Foreign(address, destination)


def _is_same(domain: str, own: str) -> bool:
    try:
        return MailDomain.parse(domain).name == own
    except BadAddressError:
        return False
