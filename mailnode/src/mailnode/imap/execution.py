"""Run one command from its text to its tagged response.

For: choosing the handler, and turning refusals into responses. This is the supervisor of commands: a fault in
one is logged and answered, and the session goes on.
Not for: what commands do (commands_*.py).
"""

import re
from collections.abc import Awaitable
from typing import assert_never

import structlog

from mailnode.imap import commands_login, commands_mailbox, commands_message, metadata, quota
from mailnode.imap.command_reader import CommandText, LiteralRefused
from mailnode.imap.commands import (
    Append,
    Authenticate,
    Copy,
    Create,
    Delete,
    Enable,
    Fetch,
    GetMetadata,
    GetQuota,
    GetQuotaRoot,
    Identify,
    List,
    Login,
    Plain,
    Rename,
    Search,
    Select,
    SetMetadata,
    SetQuota,
    Status,
    Store,
    Subscribe,
    UidExpunge,
    Verb,
)
from mailnode.imap.commands_login import capability_names
from mailnode.imap.errors import (
    AppendRefusedError,
    BadCommandError,
    ConnectionClosedError,
    RefusedError,
    ResponseCode,
    SessionEndedError,
)
from mailnode.imap.lexer import Cursor
from mailnode.imap.parser import parse_command
from mailnode.imap.session import Session
from mailnode.store.mail_store import (
    MailStoreError,
    QuotaExceededError,
    StoreUnavailableError,
    UnknownAccountError,
    UnknownMailboxError,
)

__all__ = ["answer_line", "capability_names", "execute", "refuse_literal"]

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAX_BAD_COMMANDS = 20
"""How often a client may be wrong before it is taken for something else than an IMAP client."""

# While these are answered, no message may get another number (RFC 3501 section 7.4.1).
_NUMBERED = re.compile(rb"[^ ]+ (?:FETCH|SEARCH|STORE)\b", re.IGNORECASE)


async def execute(session: Session, text: CommandText) -> None:
    """Run a command and answer it.

    Raises:
        SessionEndedError: The session is to end, with BYE.
        ConnectionClosedError: The client has gone.
    """
    cursor = Cursor(text)
    try:
        tag = cursor.tag()
    except BadCommandError as error:
        _complete(session, b"*", _refuse(session, error), with_expunges=False)
        return
    try:
        completion = await _perform(session, cursor, tag)
    except Exception as error:  # noqa: BLE001 - the supervisor of commands: one that fails is answered
        completion = _refuse(session, error)
    if completion is not None:
        has_updates = session.view is not None and session.view.has_updates
        with_expunges = has_updates and not _NUMBERED.match(text.line)
        _complete(session, tag, completion, with_expunges=with_expunges)
    if completion is commands_login.BEGIN_TLS:
        await session.wire.start_tls()


async def answer_line(session: Session, line: bytes) -> None:
    """Answer the line that an IDLE or AUTHENTICATE has waited for. Raises: as `execute`."""
    completion: bytes | None
    if session.sasl_tag is not None:
        tag, session.sasl_tag = session.sasl_tag, None
        try:
            completion = await commands_login.authenticate_plain(session, line)
        except Exception as error:  # noqa: BLE001 - as above
            completion = _refuse(session, error)
    elif session.idle_tag is not None:
        tag, session.idle_tag = session.idle_tag, None
        completion = b"OK Idle completed" if line.upper() == b"DONE" else b"BAD Only DONE ends IDLE"
    else:
        return
    _complete(session, tag, completion, with_expunges=True)


def refuse_literal(session: Session, refused: LiteralRefused) -> None:
    """Answer a command whose literal is too large to be asked for. Source: RFC 7889 section 4."""
    text = b"That message is too large" if refused.is_message else b"That is too long"
    _complete(session, refused.tag, b"NO [TOOBIG] " + text, with_expunges=True)


def _complete(session: Session, tag: bytes, completion: bytes, *, with_expunges: bool) -> None:
    view = session.view
    if view is not None and view.has_updates:
        session.say(view.take_updates(with_expunges=with_expunges))
    session.flush(b"%s %s\r\n" % (tag, completion))
    if session.bad_commands > MAX_BAD_COMMANDS:
        raise SessionEndedError("Too many mistakes")


def _refuse(session: Session, error: Exception) -> bytes:
    """Turn what a command has raised into its completion.

    Raises:
        SessionEndedError, ConnectionClosedError: It ends the session.
    """
    match error:
        case SessionEndedError() | ConnectionClosedError():
            raise error
        case BadCommandError():
            session.bad_commands += 1
            return f"BAD {error.text}".encode("ascii")
        case RefusedError():
            return f"NO [{error.code}] {error.text}".encode("ascii")
        case AppendRefusedError():
            return f"NO [{ResponseCode.CANNOT}] {error.text}".encode("ascii", "replace")
        case MailStoreError():
            return _completion_for(error)
        case _:
            log.error("imap command failed", exc_info=error)
            return b"NO [SERVERBUG] Something went wrong here"


def _completion_for(error: MailStoreError) -> bytes:
    match error:
        case QuotaExceededError():
            return b"NO [OVERQUOTA] The quota would be exceeded"
        case UnknownMailboxError():
            return b"NO [NONEXISTENT] There is no such mailbox"
        case StoreUnavailableError():
            return b"NO [UNAVAILABLE] The store is busy or full, try again later"
        case UnknownAccountError():
            raise SessionEndedError("The account is gone") from error
        case _:
            return b"NO [CANNOT] The store refuses"


def _perform(  # noqa: C901, PLR0911, PLR0912 - one case for each command
    session: Session, cursor: Cursor, tag: bytes
) -> Awaitable[bytes | None]:
    """Parse a command and begin it; it ends with its completion, or `None` where that comes later."""
    command = parse_command(cursor)
    match command:
        case Fetch():
            return commands_message.fetch(session, command)
        case Store():
            return commands_message.store(session, command)
        case Select():
            return commands_mailbox.select(session, command)
        case Plain():
            return _perform_plain(session, command.verb, tag)
        case Search():
            return commands_message.search(session, command)
        case Copy():
            return commands_message.copy(session, command)
        case UidExpunge():
            return commands_message.expunge(session, command.messages)
        case Append():
            return commands_message.append(session, command)
        case Login():
            return commands_login.login(session, command)
        case Authenticate():
            return commands_login.authenticate(session, command, tag)
        case Identify():
            return _end(commands_login.identify(session))
        case Enable():
            return _end(commands_login.enable(session))
        case Create():
            return commands_mailbox.create(session, command)
        case Delete():
            return commands_mailbox.delete(session, command)
        case Rename():
            return commands_mailbox.rename(session, command)
        case Subscribe():
            return commands_mailbox.subscribe(session, command)
        case List():
            return commands_mailbox.list_names(session, command)
        case Status():
            return commands_mailbox.status(session, command)
        case GetQuota():
            return quota.get_quota(session, command)
        case GetQuotaRoot():
            return quota.get_quota_root(session, command)
        case SetQuota():
            return _end(quota.set_quota(session))
        case GetMetadata():
            return metadata.get_metadata(session, command)
        case SetMetadata():
            return metadata.set_metadata(session, command)
        case _:
            assert_never(command)


async def _end(completion: bytes) -> bytes:
    return completion


async def _perform_plain(  # noqa: C901, PLR0911 - as above
    session: Session, verb: Verb, tag: bytes
) -> bytes | None:
    match verb:
        case Verb.IDLE:
            session.require_account()
            # The request to go on comes first: a client reads nothing as an answer to IDLE before it.
            session.say(b"+ idling\r\n")
            if session.view is not None and session.view.has_updates:
                session.say(session.view.take_updates(with_expunges=True))
            session.flush()
            session.idle_tag = tag
            return None
        case Verb.CLOSE:
            return await commands_mailbox.close(session)
        case Verb.NOOP:
            return b"OK Nothing done"
        case Verb.EXPUNGE:
            return await commands_message.expunge(session, None)
        case Verb.CHECK:
            session.require_view()
            return b"OK Checked"
        case Verb.UNSELECT:
            return commands_mailbox.unselect(session)
        case Verb.CAPABILITY:
            return commands_login.capability(session)
        case Verb.NAMESPACE:
            return commands_mailbox.namespace(session)
        case Verb.STARTTLS:
            return commands_login.start_tls(session)
        case Verb.LOGOUT:
            session.wire.end("See you", b"%s OK Logged out\r\n" % tag)
            return None
        case _:
            assert_never(verb)
