"""Find the parts of a message as offsets into its bytes.

For: BODYSTRUCTURE, BODY[1.2.MIME] and their like, and SEARCH in texts.
Not for: decoding anything, or judging a message (the encryption gate has a stricter eye).

    Part ── children          of a multipart
         └─ message ── …      the message inside a message/rfc822

Whatever is too deep, or one too many, counts as one part of unknown kind; so no message costs much more than
its size.

Source: RFC 2045, RFC 2046 section 5.1; RFC 3501 section 6.4.5 for how parts are numbered.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mailnode.imap.mime_fields import ContentType, parse_content_type, split_header

MAX_DEPTH: Final = 16
MAX_PARTS: Final = 1000
MAX_BOUNDARY_BYTES: Final = 998
MAX_HEADER_BYTES: Final = 1 << 18
"""How much of a part's header is looked at."""

_TEXT_PLAIN = ContentType("text", "plain", (("charset", "us-ascii"),))
_MESSAGE = ContentType("message", "rfc822", ())
_UNKNOWN = ContentType("application", "octet-stream", ())
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_REST_OF_DELIMITER = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")


@dataclass(slots=True)
class Part:
    """A part, or the whole message. All offsets are into the message's bytes.

    `header` has the fields by lower-case name, the first of each; `body_end` is behind the last octet.
    """

    header_start: int
    body_start: int
    body_end: int
    header: dict[bytes, bytes]
    content_type: ContentType
    children: list["Part"] = field(default_factory=list)
    message: "Part | None" = None


def parse_parts(data: bytes) -> Part:
    """Find all parts of a message."""
    return _Finder(data).find(0, len(data), _TEXT_PLAIN, 0)


def header_end(data: bytes, start: int, end: int) -> int:
    """Tell where the body begins: behind the first empty line, or at the end where there is none."""
    if data.startswith(b"\r\n", start):
        return min(start + 2, end)
    if data.startswith(b"\n", start):
        return min(start + 1, end)
    found = _EMPTY_LINE.search(data, start, end)
    return found.end() if found else end


def find_part(root: Part, path: tuple[int, ...]) -> Part | None:
    """Find a part by its numbers; `None` where there is none."""
    # Within a message, 1 is its only part if it is no multipart; within any other part it is nothing.
    part, message = root, root
    is_message = True
    for number in path:
        if not is_message and part.message is not None:
            part = message = part.message
            is_message = True
        if part.children:
            if number > len(part.children):
                return None
            part = part.children[number - 1]
        elif not (is_message and number == 1):
            return None
        else:
            part = message
        is_message = False
    return part


class _Finder:
    """Walks through a message; counts the parts."""

    __slots__ = ("_data", "_parts_left")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parts_left = MAX_PARTS

    def find(self, start: int, end: int, default: ContentType, depth: int) -> Part:
        self._parts_left -= 1
        body_start = header_end(self._data, start, end)
        header = split_header(self._data[start : min(body_start, start + MAX_HEADER_BYTES)])
        content_type = parse_content_type(header.get(b"content-type"), default)
        part = Part(start, body_start, end, header, content_type)
        if content_type.main == "multipart":
            self._find_children(part, depth)
        elif content_type.main == "message" and content_type.sub == "rfc822":
            if depth < MAX_DEPTH and self._parts_left > 0 and _is_plain(header):
                part.message = self.find(body_start, end, _TEXT_PLAIN, depth + 1)
            else:
                part.content_type = _UNKNOWN
        return part

    def _find_children(self, part: Part, depth: int) -> None:
        boundary = part.content_type.parameter("boundary").encode("latin-1", "replace")
        if depth >= MAX_DEPTH or not 0 < len(boundary) <= MAX_BOUNDARY_BYTES:
            part.content_type = _UNKNOWN
            return
        default = _MESSAGE if part.content_type.sub == "digest" else _TEXT_PLAIN
        child_start = None
        for start, end, is_last in self._delimiters(b"--" + boundary, part):
            if child_start is not None:
                part.children.append(
                    self.find(child_start, self._before(child_start, start), default, depth + 1)
                )
            child_start = None if is_last or self._parts_left <= 0 else end
            if child_start is None:
                break
        if child_start is not None:  # the closing delimiter is missing
            part.children.append(self.find(child_start, part.body_end, default, depth + 1))
        if not part.children:
            part.content_type = _UNKNOWN

    def _delimiters(self, marker: bytes, part: Part) -> Iterator[tuple[int, int, bool]]:
        """Find the delimiter lines: where each begins and ends, and whether it is the closing one."""
        # bytes.find is ten times as fast as a pattern, which counts for attachments of 30 MiB.
        at = self._data.find(marker, part.body_start, part.body_end)
        while at >= 0:
            end = at + len(marker)
            rest = _REST_OF_DELIMITER.match(self._data, end, part.body_end)
            if rest and (at == part.body_start or self._data[at - 1] == 0x0A):
                end = rest.end()
                yield at, end, rest[1] is not None
            at = self._data.find(marker, end, part.body_end)

    def _before(self, start: int, delimiter_start: int) -> int:
        """The line end before a delimiter belongs to the delimiter. Source: RFC 2046 section 5.1.1."""
        end = delimiter_start
        if end > start and self._data[end - 1] == 0x0A:
            end -= 1
            if end > start and self._data[end - 1] == 0x0D:
                end -= 1
        return end


def _is_plain(header: dict[bytes, bytes]) -> bool:
    """A message in base64 cannot be looked into by offsets; RFC 2046 section 5.2.1 forbids it anyway."""
    encoding = header.get(b"content-transfer-encoding", b"7bit").strip().lower()
    return encoding in (b"", b"7bit", b"8bit", b"binary")
