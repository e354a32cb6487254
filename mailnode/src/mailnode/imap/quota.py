"""The QUOTA commands: one root for all that an account holds.

Source: RFC 9208 (and RFC 2087 before it); `STORAGE` counts in units of 1024 octets.
"""

from mailnode.imap.commands import GetQuota, GetQuotaRoot
from mailnode.imap.commands_mailbox import find_mailbox
from mailnode.imap.errors import RefusedError, ResponseCode
from mailnode.imap.mailbox_name import encode_name
from mailnode.imap.session import Session
from mailnode.imap.strings import format_string

ROOT = b"ROOT"
UNIT_BYTES = 1024


async def get_quota(session: Session, command: GetQuota) -> bytes:
    """Tell how much is used and allowed."""
    session.require_account()
    if command.root != ROOT:
        raise RefusedError(ResponseCode.NONEXISTENT, "There is no such quota root")
    await _say_quota(session)
    return b"OK That is all"


async def get_quota_root(session: Session, command: GetQuotaRoot) -> bytes:
    """Tell the root of a mailbox, and how much is used and allowed."""
    mailbox = await find_mailbox(session, command.mailbox)
    # Quoted as Delta Chat's parser expects it.
    session.say(b'* QUOTAROOT %s "%s"\r\n' % (format_string(encode_name(mailbox.name)), ROOT))
    await _say_quota(session)
    return b"OK That is all"


def set_quota(session: Session) -> bytes:
    """Refuse: quotas are for operators to set."""
    session.require_account()
    raise RefusedError(ResponseCode.NO_PERMISSION, "Only an operator sets quotas")


async def _say_quota(session: Session) -> None:
    quota_bytes = await session.read_quota()
    usage = await session.context.store.read_usage(session.require_account().id)
    used = -(-usage.size_bytes // UNIT_BYTES)
    session.say(b'* QUOTA "%s" (STORAGE %d %d)\r\n' % (ROOT, used, quota_bytes // UNIT_BYTES))
