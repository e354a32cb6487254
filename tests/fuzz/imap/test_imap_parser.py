"""Commands survive every cut and spelling; everything else is refused cleanly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.command_reader import CommandReader, CommandText, LiteralRefused, LiteralWanted, ReadLimits
from mailnode.imap.commands import Attribute, Fetch, Partial, Section, SectionItem, SectionText
from mailnode.imap.errors import BadCommandError, RefusedError, SessionEndedError
from mailnode.imap.lexer import Cursor
from mailnode.imap.parser import parse_command
from support.imap_commands import (
    LIMITS,
    MESSAGE_BYTES,
    Written,
    commands,
    cut,
    new_reader,
    read_all,
    sets,
    tags,
)

GRAMMAR_WORDS = [
    b" ", b"(", b")", b"[", b"]", b"<", b">", b'"', b"\\", b"{1}", b"{1+}\r\n", b"*", b"%", b":", b",",
    b"\r\n", b"\n", b"\0", b"\xff", b"a1 ", b"FETCH ", b"UID ", b"SEARCH ", b"STORE ", b"1:*", b"BODY[",
    b"BODY.PEEK[", b"HEADER.FIELDS ", b"NOT ", b"OR ", b"APPEND ", b"INBOX ", b"LOGIN ", b"FLAGS ", b"NIL ",
    b"+FLAGS ", b"GETMETADATA ", b"/private/x ", b"LIST ", b"ID ", b"CHARSET ", b"SINCE ", b"1-Jan-2020 ",
    b"SETMETADATA ", b"&AGE-", b"99999999999", b"0", b"<0.1>", b"AUTHENTICATE PLAIN ", b"STATUS ",
    b"EXAMINE ",
]  # fmt: skip


def parse(text: CommandText) -> object:
    cursor = Cursor(text)
    cursor.tag()
    return parse_command(cursor)


@given(commands, tags)
def test_every_spelling_of_a_command_is_understood(written: Written, tag: bytes) -> None:
    wire, command = written
    (text,) = read_all(new_reader(), [tag + b" " + wire + b"\r\n"])

    assert isinstance(text, CommandText)
    cursor = Cursor(text)
    assert cursor.tag() == tag
    assert parse_command(cursor) == command


@given(st.lists(st.tuples(tags, commands), min_size=1, max_size=4), st.data())
def test_cuts_make_no_difference_to_commands(
    written: list[tuple[bytes, Written]], data: st.DataObject
) -> None:
    stream = b"".join(tag + b" " + wire + b"\r\n" for tag, (wire, _) in written)

    pieces = data.draw(cut(stream))
    events = read_all(new_reader(), pieces)
    assert events == read_all(new_reader(), [stream])
    assert [parse(event) for event in events if isinstance(event, CommandText)] == [
        command for _, (_, command) in written
    ]


def outcome(pieces: list[bytes]) -> list[object]:
    """Tell what comes of bytes: events, and how it ended."""
    reader = new_reader()
    events: list[object] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (event := reader.read_command()) is not None:
                events.append(event)
    except SessionEndedError as error:
        events.append(error.text)
    return events


garbage = st.one_of(
    st.binary(max_size=300), st.lists(st.sampled_from(GRAMMAR_WORDS), max_size=30).map(b"".join)
)


@given(garbage, st.data())
def test_cuts_make_no_difference_to_garbage(stream: bytes, data: st.DataObject) -> None:
    assert outcome(data.draw(cut(stream))) == outcome([stream])


@given(garbage)
def test_garbage_is_refused_and_nothing_else(stream: bytes) -> None:
    for event in outcome([b"a1 " + stream + b"\r\n"]):
        if isinstance(event, CommandText):
            try:
                parse(event)
            except (BadCommandError, RefusedError) as refusal:
                assert refusal.text.isascii()  # noqa: PT017 - garbage may by chance be a command


@given(commands, tags, st.data())
def test_command_with_a_flaw_is_refused_or_another_command(
    written: Written, tag: bytes, data: st.DataObject
) -> None:
    wire = bytearray(tag + b" " + written[0] + b"\r\n")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(wire) - 1))
        wire[place : place + data.draw(st.integers(0, 2))] = data.draw(st.sampled_from(GRAMMAR_WORDS))

    for event in outcome([bytes(wire)]):
        if isinstance(event, CommandText):
            try:
                parse(event)
            except (BadCommandError, RefusedError) as refusal:
                assert refusal.text.isascii()  # noqa: PT017 - the flaw may make another right command


attributes = st.sampled_from(Attribute).map(lambda attribute: (attribute.value.encode(), attribute))


@st.composite
def sections(draw: st.DrawFn) -> tuple[bytes, SectionItem]:
    part = draw(st.lists(st.integers(1, 99), max_size=3))
    text = draw(st.sampled_from([text for text in SectionText if part or text is not SectionText.MIME]))
    fields = draw(st.lists(st.sampled_from(["DATE", "from", "X-Y"]), min_size=1, max_size=3))
    words = [".".join(map(str, part))] if part else []
    inside = ".".join([*words, *([text.value] if text.value else [])])
    if text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
        inside += f" ({' '.join(fields)})"
    else:
        fields = []
    partial = draw(st.none() | st.builds(Partial, st.integers(0, 9999), st.integers(1, 9999)))
    written = f"BODY[{inside}]"
    asked = written.replace("BODY", draw(st.sampled_from(["BODY", "BODY.PEEK", "body.peek"])))
    if partial:
        asked += f"<{partial.start}.{partial.size_bytes}>"
        written += f"<{partial.start}>"
    section = Section(tuple(part), text, tuple(field.lower().encode() for field in fields))
    return asked.encode(), SectionItem(section, written.encode(), partial)


@given(sets(), st.lists(st.one_of(attributes, sections()), min_size=1, max_size=5), st.booleans())
def test_every_fetch_item_is_understood(
    messages: tuple[bytes, tuple[tuple[int, int], ...]],
    items: list[tuple[bytes, Attribute | SectionItem]],
    is_uid: bool,
) -> None:
    prefix = b"a UID FETCH " if is_uid else b"a FETCH "
    wire = prefix + messages[0] + b" (" + b" ".join(word for word, _ in items) + b")"

    command = parse(CommandText(wire))
    assert isinstance(command, Fetch)
    assert (command.messages, command.is_uid) == (messages[1], is_uid)
    assert command.request.items == tuple(item for _, item in items)
    assert command.request.sets_seen == any(word.startswith(b"BODY[") for word, _ in items)


@pytest.mark.parametrize(("size_bytes", "is_taken"), [(MESSAGE_BYTES, True), (MESSAGE_BYTES + 1, False)])
def test_message_is_bounded_however_its_literal_is_announced(size_bytes: int, *, is_taken: bool) -> None:
    asked = outcome([b"a APPEND x {%d}\r\n" % size_bytes])
    unasked = outcome([b"a APPEND x {%d+}\r\n" % size_bytes])

    assert asked == ([LiteralWanted()] if is_taken else [LiteralRefused(b"a", is_message=True)])
    assert unasked == ([] if is_taken else ["That literal is too large"])


@pytest.mark.parametrize("takes_messages", [True, False])
def test_only_a_user_may_bring_a_message(*, takes_messages: bool) -> None:
    reader = CommandReader(ReadLimits(100, 10, takes_messages), lambda: 1_000)
    (event,) = read_all(reader, [b"a append x {1000}\r\n"])

    assert isinstance(event, LiteralWanted) is takes_messages


def test_reader_goes_on_after_a_refused_literal() -> None:
    events = outcome([b"a LOGIN {%d}\r\n" % (LIMITS.literals_bytes + 1), b"b NOOP\r\n"])

    assert events == [LiteralRefused(b"a", is_message=False), CommandText(b"b NOOP")]


def test_text_of_a_command_is_bounded_over_all_its_lines() -> None:
    piece = b"x" * 3_000 + b" {0+}\r\n"

    assert outcome([b"a ", piece, piece, piece]) == ["That line is too long"]
