"""Let messages go: of one account or of all, a few at a time.

For: operations.py, at an admin's word, and retention.py, by the policy.
Not for: accounts themselves.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from mailnode.accounts.accounts import Accounts
from mailnode.store.account_register import AccountRegister
from mailnode.store.mail_store import Account, MailboxId, Message, UnknownMailboxError
from nodelink.contract.accounts import PurgeMail, PurgeWhat

ACCOUNTS_AT_ONCE = 100
MESSAGES_AT_ONCE = 500
"""So many go in one transaction; mail that comes in meanwhile waits for one of them at most."""

SEEN = "\\Seen"

IsGoing = Callable[[Message], bool]


@dataclass(frozen=True, slots=True)
class Purge:
    """What lets messages go."""

    accounts: Accounts
    register: AccountRegister

    async def purge(self, order: PurgeMail) -> int:
        """Let messages go; return how many. Raises: UnknownAccountError, BadAddressError."""
        if order.address is not None:
            return await self.purge_account(await self.accounts.find(order.address), decide(order))
        count = 0
        async for account in self.walk_accounts():
            count += await self.purge_account(account, decide(order))
        return count

    async def purge_account(self, account: Account, is_going: IsGoing) -> int:
        """Let messages of an account go; return how many."""
        count = 0
        for mailbox in await self.register.list_mailboxes(account.id):
            with suppress(UnknownMailboxError):  # its owner was quicker
                count += await self._purge_mailbox(mailbox.id, is_going)
        return count

    async def walk_accounts(self) -> AsyncIterator[Account]:
        """Go through all accounts; one that is made meanwhile may be left out."""
        after = ""
        while accounts := await self.register.list_accounts(after, ACCOUNTS_AT_ONCE):
            for account in accounts:
                yield account
            after = accounts[-1].address

    async def _purge_mailbox(self, mailbox: MailboxId, is_going: IsGoing) -> int:
        contents = await self.register.read_contents(mailbox)
        uids = [message.uid for message in contents.messages if is_going(message)]
        count = 0
        for start in range(0, len(uids), MESSAGES_AT_ONCE):
            count += len(await self.register.expunge(mailbox, uids[start : start + MESSAGES_AT_ONCE]))
        return count


def decide(order: PurgeMail) -> IsGoing:
    """Decide which messages go."""
    match order.what:
        case PurgeWhat.ALL:
            return lambda _: True
        case PurgeWhat.READ:
            return lambda message: SEEN in message.flags
        case PurgeWhat.OLDER:
            before_seconds = order.before_seconds or 0
            return lambda message: message.received_at_seconds < before_seconds
