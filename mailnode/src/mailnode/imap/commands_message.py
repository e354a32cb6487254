"""The commands on messages: APPEND, COPY, EXPUNGE, FETCH, MOVE, SEARCH, STORE.

Source: RFC 3501 sections 6.3.11 and 6.4, RFC 4315, RFC 6851.
"""

import asyncio
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import assert_never

from mailnode.imap.commands import Append, Copy, Fetch, Search, Store
from mailnode.imap.commands_mailbox import find_mailbox
from mailnode.imap.errors import ConnectionClosedError, RefusedError, ResponseCode
from mailnode.imap.fetch import Content, make_content, write_fetch
from mailnode.imap.flags import MAX_FLAGS, SEEN, SYSTEM_FLAGS, format_flags
from mailnode.imap.search import Candidate, count_texts, judge, needs_body, settle_sets
from mailnode.imap.sequence_set import SequenceSet, format_sequence_set
from mailnode.imap.session import Session
from mailnode.imap.view import MailboxView
from mailnode.store.mail_store import Expunged, FlagMode, Flags, Message, Uid

TURN_SECONDS = 0.005
"""After how long others have their turn."""

BYTES_ON_LOOP = 1 << 18
"""Larger messages are parsed in a thread, so that nobody waits for them."""


async def fetch(session: Session, command: Fetch) -> bytes:
    """Tell of messages, one after the other."""
    view = session.require_view()
    request = command.request
    indexes = view.choose(command.messages, is_uid=command.is_uid)
    seen = await _set_seen(session, view, indexes) if request.sets_seen else {}
    missing_count = 0
    turns = _Turns(session)
    for index in indexes:
        message = view.messages[index]
        content = await _read_content(
            session, message, needs_body=request.needs_body, needs_header=request.needs_header
        )
        if content is not None and request.needs_parts and message.size_bytes > BYTES_ON_LOOP:
            await asyncio.to_thread(content.find_parts)
        if content is None:
            missing_count += 1
            continue
        is_recent = view.is_recent(message.uid)
        pieces = write_fetch(
            index + 1,
            message,
            request,
            content,
            is_recent=is_recent,
            is_uid=command.is_uid,
            adds_flags=message.uid in seen,
        )
        for piece in pieces:
            session.say(piece)
            if session.says_much:
                await session.relieve()
        if turns.is_over:
            await turns.give()
    return _completion(b"OK That is all", missing_count=0 if command.is_uid else missing_count)


async def store(session: Session, command: Store) -> bytes:
    """Change flags, on disk before the answer."""
    view = _require_writable(session)
    indexes = view.choose(command.messages, is_uid=command.is_uid)
    flags = _spelled_as_before(view, command.flags, command.mode)
    if command.mode is FlagMode.ADD and any(len(view.messages[i].flags | flags) > MAX_FLAGS for i in indexes):
        raise RefusedError(ResponseCode.LIMIT, "A message would have too many flags")
    if not indexes:
        return b"OK Nothing to store"
    uids = [view.uids[index] for index in indexes]
    changed = await session.context.store.change_flags(view.mailbox.id, uids, command.mode, flags)
    # RFC 3501 section 6.4.6: what others have changed is told even when .SILENT was asked for.
    told = {
        uid
        for uid, now in changed.items()
        if not command.is_silent or now != _applied(view.flags_of(uid), command.mode, flags)
    }
    view.apply_flags(changed)
    await _say_flags(session, view, indexes, told, with_uid=command.is_uid)
    missing_count = 0 if command.is_uid else len(uids) - len(changed)
    return _completion(b"OK Stored", missing_count=missing_count)


async def search(session: Session, command: Search) -> bytes:
    """Find messages."""
    view = session.require_view()
    # Numbers that are not in use are no mistake here, unlike in FETCH: they match nothing.
    key = settle_sets(command.key, len(view.uids), view.uids[-1] if view.uids else 0)
    reads_body = needs_body(key)
    text_count = count_texts(key)
    turns = _Turns(session)
    found: list[int] = []
    for count, message in enumerate(view.messages, 1):
        candidate = Candidate(message, count, view.is_recent(message.uid))
        verdict = judge(key, candidate)
        if verdict is None:
            content = await _read_content(session, message, needs_body=reads_body, needs_header=True)
            if content is not None:
                candidate.header, candidate.body = content.header, content.body
                if (len(content.header) + len(content.body)) * text_count > BYTES_ON_LOOP:
                    verdict = await asyncio.to_thread(judge, key, candidate)
                else:
                    verdict = judge(key, candidate)
        if verdict:
            found.append(message.uid if command.is_uid else count)
        if turns.is_over:
            await turns.give()
    session.say(b"* SEARCH%s\r\n" % b"".join(b" %d" % number for number in found))
    return b"OK That is all"


async def expunge(session: Session, messages: SequenceSet | None) -> bytes:
    """Remove what is marked as deleted, on disk before the answer; with `messages`, only those of them."""
    view = _require_writable(session)
    deleted = view.list_deleted()
    if messages is not None:
        chosen = {view.uids[index] for index in view.choose(messages, is_uid=True)}
        deleted = [uid for uid in deleted if uid in chosen]
    if deleted:
        view.note(Expunged(await session.context.store.expunge(view.mailbox.id, deleted)))
    return b"OK Expunged"


async def copy(session: Session, command: Copy) -> bytes:
    """Copy or move messages to another mailbox, all or none."""
    view = _require_writable(session) if command.is_move else session.require_view()
    uids = [view.uids[index] for index in view.choose(command.messages, is_uid=command.is_uid)]
    target = await find_mailbox(session, command.mailbox, ResponseCode.TRY_CREATE)
    if not uids:
        return b"OK Nothing to copy"
    mail_store = session.context.store
    if command.is_move:
        pairs = await mail_store.move_messages(view.mailbox.id, uids, target.id)
    else:
        quota_bytes = await session.read_quota()
        pairs = await mail_store.copy_messages(view.mailbox.id, uids, target.id, quota_bytes)
    if not pairs:
        return b"OK They are gone"
    code = b"[COPYUID %d %s %s]" % (
        target.uid_validity,
        format_sequence_set(old for old, _ in pairs),
        format_sequence_set(new for _, new in pairs),
    )
    if not command.is_move:
        return b"OK %s Copied" % code
    session.say(b"* OK %s Moved\r\n" % code)  # before the EXPUNGEs, by RFC 6851 section 4.3
    view.note(Expunged(frozenset(old for old, _ in pairs)))
    return b"OK Moved"


async def append(session: Session, command: Append) -> bytes:
    """Put a message into a mailbox, past the gate and within the quota."""
    mailbox = await find_mailbox(session, command.mailbox, ResponseCode.TRY_CREATE)
    context = session.context
    if not command.message:
        raise RefusedError(ResponseCode.CANNOT, "There is no message")
    if len(command.message) > BYTES_ON_LOOP:
        await asyncio.to_thread(context.append_gate, command.message)
    else:
        context.append_gate(command.message)
    received_at_seconds = command.received_at_seconds
    if received_at_seconds is None:
        received_at_seconds = int(context.clock_seconds())
    message = await context.store.append(
        mailbox.id, await session.read_quota(), command.message, command.flags, received_at_seconds
    )
    return b"OK [APPENDUID %d %d] Appended" % (mailbox.uid_validity, message.uid)


def _require_writable(session: Session) -> MailboxView:
    view = session.require_view()
    if view.is_read_only:
        raise RefusedError(ResponseCode.CANNOT, "The mailbox was opened read-only")
    return view


async def _set_seen(session: Session, view: MailboxView, indexes: list[int]) -> Mapping[Uid, Flags]:
    """Mark messages as seen that are about to be; return those that were not."""
    unseen = [view.uids[index] for index in indexes if SEEN not in view.messages[index].flags]
    if view.is_read_only or not unseen:
        return {}
    changed = await session.context.store.change_flags(
        view.mailbox.id, unseen, FlagMode.ADD, frozenset((SEEN,))
    )
    view.apply_flags(changed)
    return changed


async def _read_content(
    session: Session, message: Message, *, needs_body: bool, needs_header: bool
) -> Content | None:
    """Read as much of a message as is needed; `None` when it is gone."""
    if needs_body:
        body = await session.context.store.read_body(message.body_id)
        if body is None:
            return None
        return make_content(body)
    if needs_header:
        header = await session.context.store.read_header(message.body_id)
        return None if header is None else Content(header)
    return Content()


class _Turns:
    """Lets others run whenever a command has been at it for a while."""

    __slots__ = ("_began_at", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._began_at = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether it is time for others."""
        return time.monotonic() - self._began_at >= TURN_SECONDS

    async def give(self) -> None:
        """Give a turn to others, and stop when there is nobody to answer."""
        await asyncio.sleep(0)
        if self._session.is_closed:
            raise ConnectionClosedError
        self._began_at = time.monotonic()


async def _say_flags(
    session: Session, view: MailboxView, indexes: list[int], told: AbstractSet[Uid], *, with_uid: bool
) -> None:
    for index in indexes:
        uid = view.uids[index]
        if uid in told:
            flags = format_flags(view.messages[index].flags, is_recent=view.is_recent(uid))
            uid_word = b"UID %d " % uid if with_uid else b""
            session.say(b"* %d FETCH (%sFLAGS %s)\r\n" % (index + 1, uid_word, flags))
            if session.says_much:
                await session.relieve()


def _applied(before: Flags, mode: FlagMode, flags: Flags) -> Flags:
    match mode:
        case FlagMode.REPLACE:
            return flags
        case FlagMode.ADD:
            return before | flags
        case FlagMode.REMOVE:
            return before - flags
        case _:
            assert_never(mode)


def _spelled_as_before(view: MailboxView, flags: Flags, mode: FlagMode) -> Flags:
    """Spell keywords as messages have them already: flags do not differ by case alone."""
    if flags.issubset(SYSTEM_FLAGS):
        return flags
    spellings = {flag for message in view.messages for flag in message.flags}
    if mode is FlagMode.REMOVE:  # APPEND may have brought other spellings; none of them stays
        lower = {flag.lower() for flag in flags}
        return frozenset(flag for flag in spellings if flag.lower() in lower)
    known = {flag.lower(): flag for flag in spellings}
    return frozenset({flag.lower(): known.get(flag.lower(), flag) for flag in sorted(flags)}.values())


def _completion(completion: bytes, *, missing_count: int) -> bytes:
    """Admit that messages are gone of which the client was not told. Source: RFC 2180 section 4.1."""
    return b"NO [EXPUNGEISSUED] Some of the messages are gone" if missing_count else completion
