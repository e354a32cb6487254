"""Say who a recipient is.

For: RCPT. This is the place where recipients of other domains get their way once there is one; until then
they are refused with a text that says so.
Not for: quota (submission.py).
"""

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.address import MailDomain
from mailnode.accounts.errors import BadAddressError
from mailnode.smtp.replies import FOREIGN_RECIPIENT, UNKNOWN_RECIPIENT
from mailnode.smtp.syntax import CommandError
from mailnode.store.mail_store import Account


async def find_recipient(accounts: Accounts, address: str) -> Account:
    """Find the account of a recipient.

    Raises:
        CommandError: There is none, or the address is one of another domain.
        StoreUnavailableError: It cannot be looked up now.
    """
    account = await accounts.find_recipient(address)
    if account is not None:
        return account
    raise CommandError(UNKNOWN_RECIPIENT if _is_own(address, accounts.domain) else FOREIGN_RECIPIENT)


def _is_own(address: str, domain: str) -> bool:
    try:
        return MailDomain.parse(address.rpartition("@")[2]).name == domain
    except BadAddressError:
        return False
