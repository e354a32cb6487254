"""Decide whether a message is what SEARCH asks for.

For: judging one message by as little of it as is enough.
Not for: reading messages from the store (commands_message.py does that when the answer is `None`).

The answer has three values: yes, no, and `None` while the text that it depends on has not been read.

Source: RFC 3501 section 6.4.4.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from email.utils import parsedate
from typing import assert_never

from mailnode.imap.dates import day_of
from mailnode.imap.header_text import decode_header_text, decode_part_text
from mailnode.imap.message_parts import Part, parse_parts
from mailnode.imap.mime_fields import fields_pattern, unfold
from mailnode.imap.search_keys import (
    AllOf,
    AnyOf,
    BodyContains,
    DateRelation,
    HasFlag,
    HeaderContains,
    IsRecent,
    LargerThan,
    Not,
    NumberIn,
    ReceivedDate,
    SearchKey,
    SentDate,
    SmallerThan,
    TextContains,
)
from mailnode.imap.sequence_set import is_in_settled, settle
from mailnode.store.mail_store import Message

_FOLD = re.compile(r"\r?\n(?=[ \t])")


@dataclass(slots=True)
class Candidate:
    """A message to be judged: its place in the mailbox, and what has been read of its text."""

    message: Message
    number: int
    is_recent: bool
    header: bytes | None = None
    body: bytes | None = None
    _texts: str | None = field(default=None, init=False)
    _fields: dict[str, list[str]] = field(default_factory=dict, init=False)

    def read_texts(self, body: bytes) -> str:
        """Decode all text parts, once."""
        if self._texts is None:
            self._texts = "\n".join(_texts_below(body, parse_parts(body))).casefold()
        return self._texts

    def read_fields(self, header: bytes, name: str) -> list[str]:
        """Decode the values of all fields of that name, once."""
        if name not in self._fields:
            self._fields[name] = [
                decode_header_text(unfold(found[0].partition(b":")[2])).casefold()
                for found in fields_pattern((name.encode("latin-1"),)).finditer(header)
            ]
        return self._fields[name]


def needs_body(key: SearchKey) -> bool:
    """Tell whether a message's header may not be enough."""
    match key:
        case AllOf() | AnyOf():
            return any(map(needs_body, key.keys))
        case Not():
            return needs_body(key.key)
        case BodyContains() | TextContains():
            return True
        case _:
            return False


def count_texts(key: SearchKey) -> int:
    """Count how often a message's text must be looked through."""
    match key:
        case AllOf() | AnyOf():
            return sum(map(count_texts, key.keys))
        case Not():
            return count_texts(key.key)
        case SentDate() | HeaderContains() | BodyContains() | TextContains():
            return 1
        case _:
            return 0


def settle_sets(key: SearchKey, message_count: int, last_uid: int) -> SearchKey:
    """Settle the sets of messages that a search names, so that a message is looked up in each at once."""
    match key:
        case AllOf():
            return AllOf(tuple(settle_sets(inner, message_count, last_uid) for inner in key.keys))
        case AnyOf():
            return AnyOf(tuple(settle_sets(inner, message_count, last_uid) for inner in key.keys))
        case Not():
            return Not(settle_sets(key.key, message_count, last_uid))
        case NumberIn():
            return NumberIn(settle(key.messages, last_uid if key.is_uid else message_count), key.is_uid)
        case _:
            return key


def judge(key: SearchKey, candidate: Candidate) -> bool | None:  # noqa: C901, PLR0911, PLR0912 - one case for each key
    """Judge a message; `None` means: read its header, or its body, and ask again."""
    message = candidate.message
    match key:
        case AllOf():
            return _combine(key.keys, candidate, decisive=False)
        case AnyOf():
            return _combine(key.keys, candidate, decisive=True)
        case Not():
            verdict = judge(key.key, candidate)
            return None if verdict is None else not verdict
        case HasFlag():
            return any(flag.lower() == key.flag for flag in message.flags)
        case IsRecent():
            return candidate.is_recent
        case NumberIn():
            return is_in_settled(message.uid if key.is_uid else candidate.number, key.messages)
        case LargerThan():
            return message.size_bytes > key.size_bytes
        case SmallerThan():
            return message.size_bytes < key.size_bytes
        case ReceivedDate():
            return _is_related(day_of(message.received_at_seconds), key.relation, key.day)
        case SentDate():
            return None if candidate.header is None else _is_sent(candidate.header, key)
        case HeaderContains():
            if candidate.header is None:
                return None
            return any(key.text in value for value in candidate.read_fields(candidate.header, key.field))
        case BodyContains():
            return None if candidate.body is None else key.text in candidate.read_texts(candidate.body)
        case TextContains():
            return _has_text(candidate, key)
        case _:
            assert_never(key)


def _combine(keys: tuple[SearchKey, ...], candidate: Candidate, *, decisive: bool) -> bool | None:
    """Judge keys until one is decisive; an unread text may be of no importance."""
    is_open = False
    for key in keys:
        verdict = judge(key, candidate)
        if verdict is decisive:
            return decisive
        is_open |= verdict is None
    return None if is_open else not decisive


def _is_related(day: date, relation: DateRelation, given: date) -> bool:
    match relation:
        case DateRelation.BEFORE:
            return day < given
        case DateRelation.ON:
            return day == given
        case DateRelation.SINCE:
            return day >= given


def _is_sent(header: bytes, key: SentDate) -> bool:
    found = fields_pattern((b"date",)).search(header)
    parsed = parsedate(found[0].partition(b":")[2].decode("latin-1").strip()) if found else None
    if parsed is None:
        return False
    try:
        return _is_related(date(*parsed[:3]), key.relation, key.day)
    except ValueError:  # the 31st of February, or the year zero
        return False


def _has_text(candidate: Candidate, key: TextContains) -> bool | None:
    if candidate.header is not None and key.text in _header_text(candidate.header):
        return True
    return None if candidate.body is None else key.text in candidate.read_texts(candidate.body)


def _header_text(header: bytes) -> str:
    return decode_header_text(_FOLD.sub("", header.decode("latin-1")).encode("latin-1")).casefold()


def _texts_below(data: bytes, part: Part) -> list[str]:
    texts = [decode_part_text(data, part)] if part.content_type.main == "text" else []
    for inner in part.children:
        texts += _texts_below(data, inner)
    if part.message is not None:
        header = data[part.message.header_start : part.message.body_start]
        texts += [decode_header_text(header), *_texts_below(data, part.message)]
    return texts
