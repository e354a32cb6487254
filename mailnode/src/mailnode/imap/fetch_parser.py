"""Parse what FETCH asks for.

For: items, macros, sections and partial ranges.
Not for: fetching (fetch.py).

Source: RFC 3501 section 6.4.5, and section 9 (fetch, fetch-att, section).
"""

import re
from functools import lru_cache

from mailnode.imap.command_reader import CommandText
from mailnode.imap.commands import (
    Attribute,
    FetchItem,
    FetchItems,
    Partial,
    Section,
    SectionItem,
    SectionText,
)
from mailnode.imap.errors import BadCommandError
from mailnode.imap.lexer import Cursor
from mailnode.imap.strings import format_astring

MAX_ITEMS = 64
MAX_FIELDS = 128
MAX_FIELDS_BYTES = 4096
"""How long the names in one item may be together: they become one pattern, which takes time to build."""
MAX_PART_DEPTH = 32
CACHED_BYTES = 1024

_FAST = (Attribute.FLAGS, Attribute.INTERNAL_DATE, Attribute.SIZE)
_ALL = (*_FAST, Attribute.ENVELOPE)
_MACROS: dict[bytes, tuple[FetchItem, ...]] = {b"FAST": _FAST, b"ALL": _ALL, b"FULL": (*_ALL, Attribute.BODY)}
_ATTRIBUTES: dict[bytes, Attribute] = {attribute.value.encode(): attribute for attribute in Attribute}
_RFC822 = {
    b"RFC822": SectionItem(Section(), b"RFC822"),
    b"RFC822.HEADER": SectionItem(Section(text=SectionText.HEADER), b"RFC822.HEADER"),
    b"RFC822.TEXT": SectionItem(Section(text=SectionText.TEXT), b"RFC822.TEXT"),
}
_ITEM_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PART = re.compile(rb"[1-9]\d{0,9}(?:\.[1-9]\d{0,9})*")
_TEXT_NAME = re.compile(rb"[A-Za-z.]+")
_TEXTS = {text.value.encode(): text for text in SectionText if text.value}
_PARTIAL = re.compile(rb"<(\d{1,10})\.([1-9]\d{0,9})>")
_WITH_FIELDS = (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)


def read_fetch_items(cursor: Cursor) -> FetchItems:
    """Take the items, which end the command. Raises: BadCommandError."""
    rest = cursor.rest()
    if b"{" in rest or len(rest) > CACHED_BYTES:
        return _read(cursor)
    cursor.at = len(cursor.line)
    return _parse(rest)


@lru_cache(maxsize=256)
def _parse(text: bytes) -> FetchItems:
    """Parse items that hold no literal; clients ask for the same few ones all day."""
    return _read(Cursor(CommandText(text)))


def _read(cursor: Cursor) -> FetchItems:
    items: list[FetchItem] = []
    sets_seen = False
    if cursor.skip(b"("):
        while True:
            item, item_sets_seen = _read_item(cursor)
            items.append(item)
            sets_seen |= item_sets_seen
            if cursor.skip(b")"):
                break
            cursor.space()
        if len(items) > MAX_ITEMS:
            raise BadCommandError("There are too many items")
    else:
        macro = _MACROS.get(cursor.line[cursor.at :].rstrip(b" ").upper())
        if macro:
            cursor.at = len(cursor.line)
            items += macro
        else:
            item, sets_seen = _read_item(cursor)
            items.append(item)
    cursor.end()
    return _plan(tuple(items), sets_seen=sets_seen)


def _plan(items: tuple[FetchItem, ...], *, sets_seen: bool) -> FetchItems:
    sections = [item.section for item in items if isinstance(item, SectionItem)]
    has_structure = Attribute.BODY in items or Attribute.BODY_STRUCTURE in items
    return FetchItems(
        items,
        sets_seen=sets_seen,
        needs_header=Attribute.ENVELOPE in items or any(section.is_in_header for section in sections),
        needs_body=has_structure or not all(section.is_in_header for section in sections),
        needs_parts=has_structure or any(section.part for section in sections),
    )


def _read_item(cursor: Cursor) -> tuple[FetchItem, bool]:
    r"""Take an item; tell whether fetching it sets `\Seen`."""
    name = cursor.pattern(_ITEM_NAME, "an item to fetch is missing").upper()
    if name in (b"BODY", b"BODY.PEEK") and cursor.skip(b"["):
        return _read_section(cursor), name == b"BODY"
    whole = _RFC822.get(name)
    if whole is not None:
        return whole, whole.section.text is not SectionText.HEADER
    attribute = _ATTRIBUTES.get(name)
    if attribute is None:
        raise BadCommandError("There is no such item to fetch")
    return attribute, False


def _read_section(cursor: Cursor) -> SectionItem:
    part: tuple[int, ...] = ()
    if cursor.line[cursor.at : cursor.at + 1].isdigit():
        numbers = cursor.pattern(_PART, "a part number is broken")
        part = tuple(map(int, numbers.split(b".")))
        if len(part) > MAX_PART_DEPTH:
            raise BadCommandError("A part number is too deep")
    text = SectionText.ALL
    fields: tuple[bytes, ...] = ()
    if not cursor.is_at(b"]"):
        if part:
            cursor.expect(b".")
        text = _read_text_name(cursor, is_in_part=bool(part))
        if text in _WITH_FIELDS:
            cursor.space()
            fields = _read_fields(cursor)
    cursor.expect(b"]")
    label = _label(part, text, fields)
    partial = _read_partial(cursor)
    if partial:
        label += b"<%d>" % partial.start
    return SectionItem(Section(part, text, tuple(field.lower() for field in fields)), label, partial)


def _read_text_name(cursor: Cursor, *, is_in_part: bool) -> SectionText:
    text = _TEXTS.get(cursor.pattern(_TEXT_NAME, "a section is broken").upper())
    if text is None or (text is SectionText.MIME and not is_in_part):
        raise BadCommandError("There is no such section")
    return text


def _read_fields(cursor: Cursor) -> tuple[bytes, ...]:
    cursor.expect(b"(")
    fields = [cursor.astring()]
    while not cursor.skip(b")"):
        cursor.space()
        fields.append(cursor.astring())
    if len(fields) > MAX_FIELDS or sum(map(len, fields)) > MAX_FIELDS_BYTES:
        raise BadCommandError("There are too many fields")
    return tuple(fields)


def _read_partial(cursor: Cursor) -> Partial | None:
    if not cursor.is_at(b"<"):
        return None
    found = _PARTIAL.match(cursor.line, cursor.at)
    if found is None:
        raise BadCommandError("A range of octets is broken")
    cursor.at = found.end()
    return Partial(int(found[1]), int(found[2]))


def _label(part: tuple[int, ...], text: SectionText, fields: tuple[bytes, ...]) -> bytes:
    words = [".".join(map(str, part))] if part else []
    if text is not SectionText.ALL:
        words.append(text.value)
    label = ".".join(words).encode("ascii")
    if fields:
        label += b" (" + b" ".join(map(format_astring, fields)) + b")"
    return b"BODY[" + label + b"]"
