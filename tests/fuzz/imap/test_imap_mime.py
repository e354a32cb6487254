"""Parts of a message: Python's email package finds the same ones; garbage has a BODYSTRUCTURE, too."""

import email
import email.policy
from email.message import Message as EmailMessage

from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.body_structure import format_structure
from mailnode.imap.command_reader import CommandText
from mailnode.imap.commands import Section, SectionText
from mailnode.imap.fetch import make_content, read_section
from mailnode.imap.lexer import Cursor
from mailnode.imap.message_parts import Part, find_part, parse_parts

Nested = list["Nested"] | bytes | None

words = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
lines = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).filter(
    lambda line: not line.startswith("--")
)
fields = st.lists(st.tuples(words, words), max_size=3).map(
    lambda pairs: "".join(f"X-{name}: {value}\r\n" for name, value in pairs)
)


@st.composite
def leaves(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["text/plain", "text/html", "application/octet-stream", "image/png", ""]))
    header = draw(fields) + (f"Content-Type: {kind}\r\n" if kind else "")
    return header + "\r\n" + "\r\n".join(draw(st.lists(lines, max_size=4)))


@st.composite
def multiparts(draw: st.DrawFn, parts: st.SearchStrategy[str]) -> str:
    children = draw(st.lists(parts, min_size=1, max_size=3))
    inside = "".join(children)
    # No boundary begins with another one: there Python's parser and RFC 2046 part ways.
    boundary = next(f"b{number}b" for number in range(100) if f"b{number}b" not in inside)
    kind = draw(st.sampled_from(["mixed", "alternative", "related"]))
    header = f'{draw(fields)}Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n'
    body = "".join(f"--{boundary}\r\n{child}\r\n" for child in children)
    preamble = draw(st.sampled_from(["", "a preamble\r\n"]))
    end = draw(st.sampled_from([f"--{boundary}--", f"--{boundary}--\r\nan epilogue\r\n"]))
    return header + "\r\n" + preamble + body + end


@st.composite
def enclosed(draw: st.DrawFn, parts: st.SearchStrategy[str]) -> str:
    return draw(fields) + "Content-Type: message/rfc822\r\n\r\n" + draw(parts)


messages = st.recursive(leaves(), lambda parts: multiparts(parts) | enclosed(parts), max_leaves=6).map(
    str.encode
)


def seen_by_email(message: EmailMessage) -> object:
    """Tell kind, header names and text of each part, as Python's email package sees them."""
    about = (message.get_content_type(), [name.lower() for name in message.keys()])  # noqa: SIM118 - not a dict
    if message.is_multipart():
        payload = message.get_payload()
        assert isinstance(payload, list)
        return about, [seen_by_email(child) for child in payload if isinstance(child, EmailMessage)]
    text = message.get_payload(decode=True)
    assert isinstance(text, bytes)
    return about, text


def seen_by_us(data: bytes, part: Part) -> object:
    about = (
        f"{part.content_type.main}/{part.content_type.sub}",
        [
            line.partition(b":")[0].decode().lower()
            for line in _field_lines(data[part.header_start : part.body_start])
        ],
    )
    if part.message is not None:
        return about, [seen_by_us(data, part.message)]
    if part.children:
        return about, [seen_by_us(data, child) for child in part.children]
    return about, data[part.body_start : part.body_end]


def _field_lines(header: bytes) -> list[bytes]:
    return [line for line in header.split(b"\r\n") if line and line[:1] not in b" \t"]


@given(messages)
def test_parts_are_those_that_the_email_package_finds(data: bytes) -> None:
    message = email.message_from_bytes(data, policy=email.policy.compat32)

    assert seen_by_us(data, parse_parts(data)) == seen_by_email(message)


def paths_below(part: Part, path: tuple[int, ...] = ()) -> dict[tuple[int, ...], Part]:
    """Number all parts by the rules of RFC 3501 section 6.4.5, from above."""
    inner = part.message if path and part.message is not None else part
    if inner is not part or not path:
        if inner.children:
            return _children(inner, path)
        return {(*path, 1): inner, **(_inside(inner, (*path, 1)))}
    return _children(part, path)


def _children(part: Part, path: tuple[int, ...]) -> dict[tuple[int, ...], Part]:
    found = {}
    for number, child in enumerate(part.children, 1):
        found[*path, number] = child
        found |= _inside(child, (*path, number))
    return found


def _inside(part: Part, path: tuple[int, ...]) -> dict[tuple[int, ...], Part]:
    return paths_below(part, path) if part.message is not None or part.children else {}


@given(messages)
def test_every_part_is_found_by_its_number_and_nothing_beside(data: bytes) -> None:
    root = parse_parts(data)
    numbered = paths_below(root)

    for path, part in numbered.items():
        assert find_part(root, path) is part
        assert find_part(root, (*path, 99)) is None
        beside = (*path[:-1], path[-1] + 1)
        assert (find_part(root, beside) is None) == (beside not in numbered)


@given(messages)
def test_sections_put_together_are_the_message(data: bytes) -> None:
    content = make_content(data)
    header = read_section(content, Section(text=SectionText.HEADER))
    text = read_section(content, Section(text=SectionText.TEXT))

    assert header is not None
    assert text is not None
    assert header + text == data
    for path in paths_below(content.find_parts()):
        mime = read_section(content, Section(path, SectionText.MIME))
        body = read_section(content, Section(path))
        assert mime is not None
        assert body is not None
        assert mime + body in data


def read_nested(cursor: Cursor) -> Nested:
    """Read a response back: lists, strings, numbers and NIL."""
    if cursor.skip(b"("):
        items: list[Nested] = []
        while not cursor.skip(b")"):
            cursor.skip(b" ")
            items.append(read_nested(cursor))
        return items
    if cursor.is_at_string() or cursor.is_at(b"NIL"):
        return cursor.nstring()
    return b"%d" % cursor.number()


def parse_nested(response: bytes) -> Nested:
    line, literals, ends = b"", [], []
    rest = response
    while b"}\r\n" in rest:
        head, _, rest = rest.partition(b"}\r\n")
        size = int(head.rpartition(b"{")[2])
        line += head + b"}"
        ends.append(len(line))
        literals.append(rest[:size])
        rest = rest[size:]
    cursor = Cursor(CommandText(line + rest, tuple(literals), tuple(ends)))
    nested = read_nested(cursor)
    cursor.end()
    return nested


def check_structure(nested: Nested, part: Part) -> None:
    """Compare a structure that was read back with the parts it tells of."""
    assert isinstance(nested, list)
    if part.children:
        for child, told in zip(part.children, nested, strict=False):
            check_structure(told, child)
        assert nested[len(part.children)] == part.content_type.sub.encode("latin-1")
        return
    assert nested[0] == part.content_type.main.encode("latin-1")
    assert nested[1] == part.content_type.sub.encode("latin-1")
    assert nested[6] == b"%d" % (part.body_end - part.body_start)
    if part.message is not None:
        assert isinstance(nested[7], list)
        assert len(nested[7]) == 10
        check_structure(nested[8], part.message)


@given(messages, st.booleans())
def test_structure_can_be_read_back(data: bytes, is_extensible: bool) -> None:
    root = parse_parts(data)

    check_structure(parse_nested(format_structure(data, root, is_extensible=is_extensible)), root)


MIME_WORDS = [
    b"Content-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n", b"--b--\r\n", b"--b", b"\r\n", b"\n",
    b"\r", b" ", b"\t", b"Content-Type: message/rfc822\r\n",
    b'Content-Type: multipart/digest; boundary="b c"\r\n', b"--b c\r\n", b"x: y\r\n", b"Content-Type: ",
    b"text/plain", b'; a="\\"', b"; boundary=", b"=?utf-8?q?=FF?=", b"From: a <b@c>, d: e;\r\n", b"(", b"<",
    b"\xff", b"\0", b'To: "a\\', b"Content-Disposition: attachment; filename=\xc3\xb6\r\n",
    b"Content-Language: de, en\r\n", b"Content-Transfer-Encoding: base64\r\n", b"Date: x\r\n",
    b"Subject: {5}\r\n",
]  # fmt: skip


@given(st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(MIME_WORDS), max_size=30).map(b"".join)))
def test_garbage_has_a_structure_that_can_be_read_back(data: bytes) -> None:
    root = parse_parts(data)

    assert root.body_end == len(data)
    check_structure(parse_nested(format_structure(data, root, is_extensible=True)), root)
