"""The commands on mailboxes as a whole.

Source: RFC 3501 sections 6.3 and 6.4.2, RFC 2342, RFC 3348, RFC 3691.
"""

from collections.abc import Iterable
from contextlib import suppress

from mailnode.imap.commands import Create, Delete, List, Rename, Select, Status, StatusItem, Subscribe
from mailnode.imap.errors import RefusedError, ResponseCode
from mailnode.imap.flags import SEEN, SYSTEM_FLAGS, format_flags
from mailnode.imap.mailbox_name import NamePattern, check_new_name, encode_name, superiors
from mailnode.imap.session import Session
from mailnode.imap.strings import format_string
from mailnode.imap.view import MailboxView
from mailnode.store.mail_store import (
    HIERARCHY_DELIMITER,
    INBOX,
    Expunged,
    Mailbox,
    MailboxExistsError,
)

MAX_MAILBOXES = 500
"""How many mailboxes, and how many subscriptions, one account may have."""

MAX_LEVELS = 16
MAX_LISTED_KEYWORDS = 256
"""How many keywords SELECT lists. A mailbox may hold more, for each message brings its own."""


async def find_mailbox(session: Session, name: str, code: ResponseCode = ResponseCode.NONEXISTENT) -> Mailbox:
    """Look a mailbox of the user up. Raises: RefusedError, with `code`."""
    mailbox = await session.context.store.find_mailbox(session.require_account().id, name)
    if mailbox is None:
        raise RefusedError(code, "There is no such mailbox")
    return mailbox


async def select(session: Session, command: Select) -> bytes:
    """Select a mailbox; what was selected is left, also when this fails."""
    session.require_account()
    session.leave_mailbox()
    mailbox = await find_mailbox(session, command.mailbox)
    view = MailboxView(mailbox, session.context.recent, is_read_only=command.is_read_only)
    await session.enter_mailbox(view)
    session.say(_describe(view))
    if b"CONDSTORE" in command.parameters:
        # Older Delta Chat clients ask for it; RFC 7162 section 3.1.2.2 has this answer for whoever has none.
        session.say(b"* OK [NOMODSEQ] No modification sequences here\r\n")
    return b"OK [READ-ONLY] Selected" if command.is_read_only else b"OK [READ-WRITE] Selected"


async def close(session: Session) -> bytes:
    """Remove what is marked as deleted, on disk before the answer, and leave the mailbox."""
    view = session.require_view()
    deleted = [] if view.is_read_only else view.list_deleted()
    if deleted:
        await session.context.store.expunge(view.mailbox.id, deleted)
    session.leave_mailbox()
    return b"OK Closed"


def unselect(session: Session) -> bytes:
    """Leave the mailbox as it is."""
    session.require_view()
    session.leave_mailbox()
    return b"OK Unselected"


def namespace(session: Session) -> bytes:
    """Tell that all mailboxes are the user's own."""
    session.require_account()
    session.say(b'* NAMESPACE (("" "%s")) NIL NIL\r\n' % HIERARCHY_DELIMITER.encode())
    return b"OK That is all"


async def create(session: Session, command: Create) -> bytes:
    """Create a mailbox and those above it that are missing."""
    account = session.require_account()
    check_new_name(command.mailbox)
    names = {mailbox.name for mailbox in await session.context.store.list_mailboxes(account.id)}
    if command.mailbox in names:
        raise RefusedError(ResponseCode.ALREADY_EXISTS, "There is such a mailbox already")
    await _create_superiors(session, names, command.mailbox)
    await _create(session, command.mailbox)
    return b"OK Created"


async def delete(session: Session, command: Delete) -> bytes:
    """Remove a mailbox with its messages; those below it stay, and so does its name while there are any."""
    session.require_account()
    if command.mailbox == INBOX:
        raise RefusedError(ResponseCode.CANNOT, "INBOX cannot be deleted")
    mailbox = await find_mailbox(session, command.mailbox)
    if session.view is not None and session.view.mailbox.id == mailbox.id:
        session.leave_mailbox()
    await session.context.store.remove_mailbox(mailbox.id)
    return b"OK Deleted"


async def rename(session: Session, command: Rename) -> bytes:
    """Rename a mailbox and all below it; of INBOX, move the messages only."""
    account = session.require_account()
    store = session.context.store
    check_new_name(command.new)
    mailboxes = {mailbox.name: mailbox for mailbox in await store.list_mailboxes(account.id)}
    inside = command.old + HIERARCHY_DELIMITER
    below = [] if command.old == INBOX else [name for name in mailboxes if name.startswith(inside)]
    if command.old not in mailboxes and not below:
        raise RefusedError(ResponseCode.NONEXISTENT, "There is no such mailbox")
    if command.new.startswith(inside) and command.old != INBOX:
        raise RefusedError(ResponseCode.CANNOT, "A mailbox cannot be moved below itself")
    moves = {name: command.new + name.removeprefix(command.old) for name in below}
    if command.old in mailboxes and command.old != INBOX:
        moves[command.old] = command.new
    for name in moves.values():
        check_new_name(name)
    if command.new in mailboxes or any(name in mailboxes for name in moves.values()):
        raise RefusedError(ResponseCode.ALREADY_EXISTS, "There is such a mailbox already")
    await _create_superiors(session, set(mailboxes), command.new)
    if command.old == INBOX:
        await _move_inbox(session, mailboxes[INBOX], command.new)
    for old, new in moves.items():
        await store.rename_mailbox(mailboxes[old].id, new)
    return b"OK Renamed"


async def subscribe(session: Session, command: Subscribe) -> bytes:
    """Subscribe to a name, whether or not there is such a mailbox, or end that."""
    account = session.require_account()
    store = session.context.store
    if command.is_subscribed:
        check_new_name(command.mailbox)
        if len(await store.list_subscriptions(account.id)) >= MAX_MAILBOXES:
            raise RefusedError(ResponseCode.LIMIT, "There are too many subscriptions")
    await store.change_subscription(account.id, command.mailbox, is_subscribed=command.is_subscribed)
    return b"OK Noted"


async def list_names(session: Session, command: List) -> bytes:
    """List the names, or the subscribed ones, that a pattern means."""
    account = session.require_account()
    response = b"LSUB" if command.only_subscribed else b"LIST"
    if not command.pattern:
        session.say(b'* %s (\\Noselect) "%s" ""\r\n' % (response, HIERARCHY_DELIMITER.encode()))
        return b"OK That is the delimiter"
    store = session.context.store
    if command.only_subscribed:
        names = list(await store.list_subscriptions(account.id))
    else:
        names = [mailbox.name for mailbox in await store.list_mailboxes(account.id)]
    pattern = NamePattern(command.pattern)
    # RFC 3501 section 6.3.9: LSUB names what is not subscribed itself only where % ends above what is.
    with_superiors = not command.only_subscribed or b"%" in command.pattern
    own_names = set(names)
    for name, attributes in _with_superiors(names):
        if pattern.matches(name) and (with_superiors or name in own_names):
            session.say(
                b'* %s (%s) "%s" %s\r\n'
                % (response, attributes, HIERARCHY_DELIMITER.encode(), format_string(encode_name(name)))
            )
    return b"OK That is all"


async def status(session: Session, command: Status) -> bytes:
    """Count what a mailbox holds."""
    mailbox = await find_mailbox(session, command.mailbox)
    store = session.context.store
    counts = await store.read_status(mailbox.id)
    recent_count = 0
    if StatusItem.RECENT in command.items:
        mark = session.context.recent.read(mailbox.id)
        recent_count = sum(
            message.uid >= mark for message in (await store.read_contents(mailbox.id)).messages
        )
    values = {
        StatusItem.MESSAGES: counts.message_count,
        StatusItem.RECENT: recent_count,
        StatusItem.UID_NEXT: counts.uid_next,
        StatusItem.UID_VALIDITY: mailbox.uid_validity,
        StatusItem.UNSEEN: counts.unseen_count,
    }
    words = b" ".join(b"%s %d" % (item.value.encode(), values[item]) for item in dict.fromkeys(command.items))
    session.say(b"* STATUS %s (%s)\r\n" % (format_string(encode_name(mailbox.name)), words))
    return b"OK That is all"


def _describe(view: MailboxView) -> bytes:
    """Say what a mailbox holds that has just been selected. Source: RFC 3501 section 6.3.1."""
    keywords = {flag for message in view.messages for flag in message.flags}.difference(SYSTEM_FLAGS)
    flags = format_flags(frozenset(sorted(keywords)[:MAX_LISTED_KEYWORDS]).union(SYSTEM_FLAGS))
    # No flag can be changed for good in a mailbox that was opened by EXAMINE.
    permanent = b"()" if view.is_read_only else flags[:-1] + b" \\*)"
    first_unseen = next((n for n, message in enumerate(view.messages, 1) if SEEN not in message.flags), None)
    unseen = b"" if first_unseen is None else b"* OK [UNSEEN %d] First unseen\r\n" % first_unseen
    return (
        b"* FLAGS %s\r\n* OK [PERMANENTFLAGS %s] Kept\r\n* %d EXISTS\r\n* %d RECENT\r\n%s"
        b"* OK [UIDVALIDITY %d] Valid\r\n* OK [UIDNEXT %d] Next\r\n"
    ) % (
        flags,
        permanent,
        len(view.messages),
        view.recent_count,
        unseen,
        view.mailbox.uid_validity,
        view.uid_next,
    )


async def _create(session: Session, name: str) -> Mailbox:
    try:
        return await session.context.store.create_mailbox(session.require_account().id, name)
    except MailboxExistsError:
        raise RefusedError(ResponseCode.ALREADY_EXISTS, "There is such a mailbox already") from None


async def _create_superiors(session: Session, existing: set[str], name: str) -> None:
    """Create what is missing above a name that is to be. Source: RFC 3501 section 6.3.3."""
    above = superiors(name)
    missing = [superior for superior in above if superior not in existing]
    if len(existing) + len(missing) >= MAX_MAILBOXES or len(above) >= MAX_LEVELS:
        raise RefusedError(ResponseCode.LIMIT, "There are too many mailboxes")
    for superior in missing:
        with suppress(MailboxExistsError):  # another session was quicker
            await session.context.store.create_mailbox(session.require_account().id, superior)


async def _move_inbox(session: Session, inbox: Mailbox, name: str) -> None:
    """Rename INBOX, which stays, empty. Source: RFC 3501 section 6.3.5."""
    store = session.context.store
    target = await _create(session, name)
    moved = await store.move_messages(
        inbox.id, [message.uid for message in (await store.read_contents(inbox.id)).messages], target.id
    )
    if session.view is not None and session.view.mailbox.id == inbox.id:
        session.view.note(Expunged(frozenset(old for old, _ in moved)))


def _with_superiors(names: Iterable[str]) -> list[tuple[str, bytes]]:
    """Add the names that are there only because of those below them, and tell of each whether it has any."""
    real = set(names)
    above = {superior for name in real for superior in superiors(name)}
    ordered = sorted(real | above, key=lambda name: (name != INBOX, name))
    return [
        (
            name,
            (b"" if name in real else b"\\Noselect ")
            + (b"\\HasChildren" if name in above else b"\\HasNoChildren"),
        )
        for name in ordered
    ]
