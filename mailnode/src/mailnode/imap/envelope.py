"""Write the ENVELOPE of a message.

For: addresses in the form that IMAP wants, from whatever stands in a header.
Not for: decoding names; clients do that.

Source: RFC 3501 section 7.4.2 (ENVELOPE), RFC 5322 section 3.4 (addresses) and section 4.4 (routes).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailnode.imap.strings import format_nstring, format_string

MAX_ADDRESSES = 2000
MAX_FIELD_BYTES = 1 << 18

_TOKEN = re.compile(
    rb"""
    [ \t\r\n]*
    (?:
        (?P<quoted> "(?:[^"\\]|\\.)*(?:"|\Z) )
      | (?P<literal> \[[^\]]*(?:\]|\Z) )
      | (?P<special> [<>@,:;()] )
      | (?P<word> [^ \t\r\n<>@,:;()"\[]+ )
      | (?P<end> \Z )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_PIECE = re.compile(rb"(?:[^()\\]|\\.)*", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """One address. A `host` of `None` marks a group: its name, or without a `mailbox`, its end."""

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


def format_envelope(header: Mapping[bytes, bytes]) -> bytes:
    """Write an envelope from the fields of a header, unfolded, by lower-case name."""
    sender = _format_addresses(header.get(b"from"))
    words = [
        format_nstring(header.get(b"date")),
        format_nstring(header.get(b"subject")),
        sender,
        # RFC 3501: a missing or empty Sender or Reply-To is told as From.
        _format_addresses(header.get(b"sender"), default=sender),
        _format_addresses(header.get(b"reply-to"), default=sender),
        _format_addresses(header.get(b"to")),
        _format_addresses(header.get(b"cc")),
        _format_addresses(header.get(b"bcc")),
        format_nstring(header.get(b"in-reply-to")),
        format_nstring(header.get(b"message-id")),
    ]
    return b"(" + b" ".join(words) + b")"


def parse_addresses(value: bytes) -> list[Address]:
    """Read a list of addresses; what is none is left out as far as can be told."""
    reader = _AddressReader()
    at = 0
    value = value[:MAX_FIELD_BYTES]
    while len(reader.addresses) < MAX_ADDRESSES:
        found = _TOKEN.match(value, at)
        kind = found.lastgroup if found else None
        if found is None or kind is None or kind == "end":
            break
        at = found.end()
        text = found[kind]
        if text == b"(" and kind == "special":
            at, comment = _read_comment(value, at)
            reader.comment = reader.comment or comment
        elif kind == "special":
            reader.take_special(text)
        elif kind == "quoted":
            reader.take_word(_ESCAPED.sub(rb"\1", text[1:].removesuffix(b'"')))
        else:
            reader.take_word(text)
    reader.end_address()
    reader.end_group()
    return reader.addresses


@dataclass(slots=True)
class _AddressReader:
    """Collects the words of one address until a comma or a semicolon ends it."""

    addresses: list[Address] = field(default_factory=list)
    comment: bytes = b""
    _words: list[bytes] = field(default_factory=list)  # before `<`, or the local part
    _inside: list[bytes] = field(default_factory=list)  # the local part between `<` and `@`
    _host: list[bytes] | None = None
    _route: list[bytes] = field(default_factory=list)
    _is_inside: bool = False
    _is_in_group: bool = False

    def take_word(self, word: bytes) -> None:
        """Take a word, a quoted string or a domain literal."""
        if self._host is not None:
            self._host.append(word)
        elif self._is_inside:
            self._inside.append(word)
        else:
            self._words.append(word)

    def take_special(self, special: bytes) -> None:
        """Take a character that structures the list."""
        match special:
            case b",":
                if self._is_inside and not self._inside:
                    self._take_hop()
                else:
                    self.end_address()
            case b";":
                self.end_address()
                self.end_group()
            case b"<":
                # What looked like a host before was part of a careless display name.
                if self._host is not None:
                    self._words += [b"@", *self._host]
                self._is_inside, self._host = True, None
            case b"@":
                self._host = []
            case b":" if self._is_inside and not self._inside:
                self._take_hop()
            case b":" if not self._is_inside and self._host is None and not self._is_in_group:
                self.addresses.append(Address(None, None, b" ".join(self._words), None))
                self._is_in_group = True
                self._clear()
            case _:
                pass  # a closing bracket ends nothing that the next comma would not end

    def end_address(self) -> None:
        """Keep the address, if there is one."""
        local = self._inside if self._is_inside else self._words
        name = b" ".join(self._words) if self._is_inside else self.comment
        if local or self._host:
            # No host: RFC 3501 knows no such address, and a host of NIL would be a group. So an empty one.
            host = b"".join(self._host or [])
            joiner = b" " if self._host is None else b""
            route = b",".join(self._route) or None
            self.addresses.append(Address(name or None, route, joiner.join(local), host))
        self._clear()

    def end_group(self) -> None:
        """Mark the end of a group, if one is open."""
        if self._is_in_group:
            self.addresses.append(Address(None, None, None, None))
        self._is_in_group = False

    def _take_hop(self) -> None:
        """A host before the local part is one of a route. Source: RFC 5322 section 4.4."""
        if self._host is not None:
            self._route.append(b"@" + b"".join(self._host))
        self._host = None

    def _clear(self) -> None:
        self.comment = b""
        self._words = []
        self._inside = []
        self._host = None
        self._route = []
        self._is_inside = False


def _read_comment(value: bytes, at: int) -> tuple[int, bytes]:
    """Read a comment, in which others may be; return where it ends, and its text."""
    start, depth = at, 1
    while depth:
        piece = _COMMENT_PIECE.match(value, at)
        at = piece.end() if piece else len(value)
        if at >= len(value):
            return len(value), value[start:].strip()
        depth += 1 if value[at : at + 1] == b"(" else -1 if value[at : at + 1] == b")" else 0
        at += 1
    return at, _ESCAPED.sub(rb"\1", value[start : at - 1]).strip()


def _format_addresses(value: bytes | None, default: bytes = b"NIL") -> bytes:
    addresses = parse_addresses(value) if value else []
    return b"(" + b"".join(map(_format_address, addresses)) + b")" if addresses else default


def _format_address(address: Address) -> bytes:
    host = b"NIL" if address.host is None else format_string(address.host)
    words = [
        format_nstring(address.name),
        format_nstring(address.route),
        format_nstring(address.mailbox),
        host,
    ]
    return b"(" + b" ".join(words) + b")"
