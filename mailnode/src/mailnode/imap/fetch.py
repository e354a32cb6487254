"""Write what FETCH tells of one message.

For: every item of RFC 3501 section 6.4.5, from what has been read of a message.
Not for: reading the store, or which messages (commands_message.py).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from mailnode.imap.body_structure import format_structure
from mailnode.imap.commands import Attribute, FetchItems, Section, SectionItem, SectionText
from mailnode.imap.dates import format_date_time
from mailnode.imap.envelope import format_envelope
from mailnode.imap.flags import format_flags
from mailnode.imap.message_parts import Part, find_part, parse_parts
from mailnode.imap.mime_fields import fields_pattern, split_header
from mailnode.imap.strings import format_literal, split_literal
from mailnode.store.headers import measure_header
from mailnode.store.mail_store import Message

WHOLE_BYTES = 1 << 14
"""What is so short goes out in one piece."""


@dataclass(slots=True)
class Content:
    """What has been read of a message: its header, or all of it, or nothing. Parsed as late as possible."""

    header: bytes = b""
    body: bytes = b""
    _root: Part | None = field(default=None, init=False)

    def find_parts(self) -> Part:
        """Parse the whole message, once; return it as a part."""
        if self._root is None:
            self._root = parse_parts(self.body)
        return self._root


def make_content(body: bytes) -> Content:
    """Hold a whole message."""
    return Content(body[: measure_header(body)], body)


def write_fetch(  # noqa: PLR0913 - all of it differs from message to message
    number: int,
    message: Message,
    request: FetchItems,
    content: Content,
    *,
    is_recent: bool,
    is_uid: bool,
    adds_flags: bool,
) -> Iterator[bytes]:
    """Write the response for one message, a long one piece by piece: who sends it can wait in between.

    Args:
        number: Its message number.
        message: Its properties.
        request: What to tell.
        content: As much of its text as the request needs.
        is_recent: Whether it is recent in this session.
        is_uid: Whether the command was UID FETCH, so that the UID is told, asked for or not.
        adds_flags: Whether flags are told, asked for or not, because fetching has changed them.
    """
    line = b"* %d FETCH (" % number
    if is_uid and Attribute.UID not in request.items:
        line += b"UID %d " % message.uid
    for count, item in enumerate(request.items):
        if count:
            line += b" "
        if isinstance(item, SectionItem):
            text = _cut_section(item, content)
            if text is None:
                line += item.label + b" NIL"
            elif len(text) <= WHOLE_BYTES:
                line += item.label + b" " + format_literal(text)
            else:
                yield line + item.label + b" "
                yield from split_literal(text)
                line = b""
        else:
            line += _format_attribute(item, message, content, is_recent=is_recent)
        if len(line) > WHOLE_BYTES:
            yield line
            line = b""
    if adds_flags and Attribute.FLAGS not in request.items:
        line += b" FLAGS " + format_flags(message.flags, is_recent=is_recent)
    yield line + b")\r\n"


def read_section(content: Content, section: Section) -> bytes | None:
    """Cut a section out of a message; `None` where there is no such part."""
    if section.is_in_header:
        return _choose_text(content.header, section)
    if not section.part:
        return content.body if section.text is SectionText.ALL else content.body[len(content.header) :]
    part = find_part(content.find_parts(), section.part)
    return None if part is None else _read_part(content.body, part, section)


def _read_part(body: bytes, part: Part, section: Section) -> bytes | None:
    if section.text is SectionText.ALL:
        return body[part.body_start : part.body_end]
    if section.text is SectionText.MIME:
        return body[part.header_start : part.body_start]
    message = part.message
    if message is None:  # only a message has a header and a text of its own; a part's header is MIME
        return None
    if section.text is SectionText.TEXT:
        return body[message.body_start : message.body_end]
    return _choose_text(body[message.header_start : message.body_start], section)


def _format_attribute(  # noqa: PLR0911 - one return for each attribute
    item: Attribute, message: Message, content: Content, *, is_recent: bool
) -> bytes:
    match item:
        case Attribute.UID:
            return b"UID %d" % message.uid
        case Attribute.SIZE:
            return b"RFC822.SIZE %d" % message.size_bytes
        case Attribute.FLAGS:
            return b"FLAGS " + format_flags(message.flags, is_recent=is_recent)
        case Attribute.INTERNAL_DATE:
            return b'INTERNALDATE "%s"' % format_date_time(message.received_at_seconds)
        case Attribute.ENVELOPE:
            return b"ENVELOPE " + format_envelope(_fields(content))
        case Attribute.BODY_STRUCTURE:
            return b"BODYSTRUCTURE " + format_structure(
                content.body, content.find_parts(), is_extensible=True
            )
        case Attribute.BODY:
            return b"BODY " + format_structure(content.body, content.find_parts(), is_extensible=False)
        case _:
            assert_never(item)


def _cut_section(item: SectionItem, content: Content) -> bytes | None:
    """Cut a section, or what is wanted of it, out of a message; `None` where there is no such part."""
    text = read_section(content, item.section)
    if text is None or item.partial is None:
        return text
    return text[item.partial.start : item.partial.start + item.partial.size_bytes]


def _fields(content: Content) -> Mapping[bytes, bytes]:
    return split_header(content.header)


def _choose_text(header: bytes, section: Section) -> bytes:
    """Choose fields of a header; the empty line at its end stays in any case."""
    match section.text:
        case SectionText.HEADER_FIELDS:
            # One pass of one pattern: this runs for each message that any client receives.
            return b"".join(fields_pattern(section.fields).findall(header)) + b"\r\n"
        case SectionText.HEADER_FIELDS_NOT:
            return fields_pattern(section.fields).sub(b"", header)
        case _:
            return header
