"""Write what parts a message has.

Source: RFC 3501 section 7.4.2 (BODY and BODYSTRUCTURE) and section 9 (body).
"""

from mailnode.imap.envelope import format_envelope
from mailnode.imap.message_parts import Part
from mailnode.imap.mime_fields import Parameters, parse_disposition
from mailnode.imap.strings import format_nstring, format_string


def format_structure(data: bytes, part: Part, *, is_extensible: bool) -> bytes:
    """Write a part and all below it; BODY is not extensible, BODYSTRUCTURE is."""
    if part.children:
        words = [
            b"".join(format_structure(data, child, is_extensible=is_extensible) for child in part.children)
        ]
        words.append(_word(part.content_type.sub))
        if is_extensible:
            words.append(_format_parameters(part.content_type.parameters))
    else:
        words = _single_part(data, part, is_extensible=is_extensible)
    if is_extensible:
        words += _extension(part)
    return b"(" + b" ".join(words) + b")"


def _single_part(data: bytes, part: Part, *, is_extensible: bool) -> list[bytes]:
    kind = part.content_type
    encoding = part.header.get(b"content-transfer-encoding") or b"7bit"
    words = [
        _word(kind.main),
        _word(kind.sub),
        _format_parameters(kind.parameters),
        format_nstring(part.header.get(b"content-id")),
        format_nstring(part.header.get(b"content-description")),
        format_string(encoding),
        b"%d" % (part.body_end - part.body_start),
    ]
    lines = b"%d" % data.count(b"\n", part.body_start, part.body_end)
    if part.message is not None:
        words.append(format_envelope(part.message.header))
        words.append(format_structure(data, part.message, is_extensible=is_extensible))
        words.append(lines)
    elif kind.main == "text":
        words.append(lines)
    if is_extensible:
        words.append(format_nstring(part.header.get(b"content-md5")))
    return words


def _extension(part: Part) -> list[bytes]:
    disposition = parse_disposition(part.header.get(b"content-disposition"))
    languages = part.header.get(b"content-language", b"").replace(b",", b" ").split()
    return [
        b"NIL"
        if disposition is None
        else b"(" + _word(disposition.kind) + b" " + _format_parameters(disposition.parameters) + b")",
        b"(" + b" ".join(map(format_string, languages)) + b")" if languages else b"NIL",
        format_nstring(part.header.get(b"content-location")),
    ]


def _format_parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(" + b" ".join(_word(key) + b" " + _word(value) for key, value in parameters) + b")"


def _word(text: str) -> bytes:
    return format_string(text.encode("latin-1"))
