"""Small codecs: sets, names, dates, strings, deadlines; each against a naive model."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.dates import format_date_time, parse_date, parse_date_time
from mailnode.imap.errors import BadCommandError, RefusedError
from mailnode.imap.mailbox_name import NamePattern, decode_name, encode_name
from mailnode.imap.sequence_set import (
    SequenceSet,
    choose_indexes,
    choose_numbers,
    format_sequence_set,
    is_in_settled,
    parse_sequence_set,
    settle,
)
from mailnode.imap.strings import format_astring, format_nstring, format_string
from mailnode.imap.wheel import DeadlineWheel

small_sets = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=5).map(tuple)


def means(chosen: SequenceSet, number: int, largest: int) -> bool:
    """Tell by the words of RFC 3501 whether a number is in a set."""
    return any(
        min(a or largest, b or largest) <= number <= max(a or largest, b or largest) for a, b in chosen
    )


@given(small_sets, st.sets(st.integers(1, 40)))
def test_chosen_uids_are_those_that_a_set_means(chosen: SequenceSet, uids: set[int]) -> None:
    ordered = sorted(uids)
    expected = [index for index, uid in enumerate(ordered) if means(chosen, uid, ordered[-1])]

    assert choose_indexes(chosen, ordered) == expected


@given(small_sets, st.integers(0, 40), st.integers(1, 45))
def test_settled_set_holds_what_the_set_means(chosen: SequenceSet, largest: int, number: int) -> None:
    settled = settle(chosen, largest)

    assert is_in_settled(number, settled) is means(chosen, number, largest)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(settled))


@given(small_sets, st.integers(0, 40))
def test_chosen_numbers_are_those_that_a_set_means(chosen: SequenceSet, count: int) -> None:
    if count == 0 or any(number > count for ends in chosen for number in ends):
        with pytest.raises(BadCommandError):
            choose_numbers(chosen, count)
    else:
        expected = [number for number in range(1, count + 1) if means(chosen, number, count)]
        assert choose_numbers(chosen, count) == expected


def test_huge_range_costs_no_more_than_what_is_there() -> None:
    assert choose_indexes(((1, 0xFFFF_FFFF), (5, 4_000_000_000)), [3, 4_294_967_295]) == [0, 1]


@pytest.mark.parametrize(
    "text", [b"0", b"", b"1,", b",1", b"1:", b":1", b"1:2:3", b"01", b"4294967296", b"**"]
)
def test_broken_set_is_bad(text: bytes) -> None:
    with pytest.raises(BadCommandError):
        parse_sequence_set(text)


@given(st.lists(st.integers(1, 50), max_size=20))
def test_written_set_means_its_numbers_in_their_order(numbers: list[int]) -> None:
    written = format_sequence_set(numbers)

    if numbers:
        ranges = parse_sequence_set(written)
        assert [number for first, last in ranges for number in range(first, last + 1)] == numbers
    else:
        assert written == b""


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(names)
def test_name_comes_back_from_the_wire(name: str) -> None:
    wire = encode_name(name)

    assert all(0x20 <= octet < 0x7F for octet in wire)
    assert decode_name(wire) == ("INBOX" if name.upper() == "INBOX" else name)


@given(
    st.binary(max_size=20) | st.lists(st.sampled_from([b"&", b"-", b"AOk", b",", b"a", b"&-"])).map(b"".join)
)
def test_name_has_one_spelling_only(wire: bytes) -> None:
    try:
        name = decode_name(wire)
    except BadCommandError:
        return
    assert name == "INBOX" or encode_name(name) == wire


@pytest.mark.parametrize(
    ("name", "wire"),
    [("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"), ("a&b", b"a&-b"), ("☺!", b"&Jjo-!")],
)
def test_names_of_rfc_3501_section_5_1_3(name: str, wire: bytes) -> None:
    assert (encode_name(name), decode_name(wire)) == (wire, name)


patterns = st.text("ab/*%", max_size=8)
short_names = st.text("ab/", min_size=1, max_size=10)


@given(patterns, short_names)
def test_pattern_means_what_a_regular_expression_would(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(letter, letter) for letter in pattern)

    assert NamePattern(pattern.encode()).matches(name) == bool(re.fullmatch(expression, name))


def test_inbox_is_meant_in_any_spelling_and_no_other_name_is() -> None:
    assert NamePattern(b"iN%").matches("INBOX")
    assert not NamePattern(b"a%").matches("Ab")


def test_pattern_made_to_cost_much_is_quick() -> None:
    assert not NamePattern(b"*a%" * 10 + b"b").matches("a" * 255)


@pytest.mark.parametrize(
    ("pattern", "is_taken"), [(b"*a" * 32, True), (b"*a" * 33, False), (b"x" * 1025, False)]
)
def test_pattern_is_bounded(pattern: bytes, *, is_taken: bool) -> None:
    if is_taken:
        assert NamePattern(pattern).matches("a" * 32)
    else:
        with pytest.raises(RefusedError):
            NamePattern(pattern)


@given(st.integers(0, 4_000_000_000))
def test_moment_comes_back_from_the_wire(seconds: int) -> None:
    assert parse_date_time(format_date_time(seconds)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        b"17-Jul-1996 02:44:25",
        b"17-Xxx-1996 02:44:25 +0000",
        b"32-Jul-1996 02:44:25 +0000",
        b"17-Jul-1996 25:44:25 +0000",
        b"17-Jul-1996 02:44:25 +9900",
        b"17-Jul-0000 02:44:25 +0000",
        b"17-Jul-1960 02:44:25 +0000",
        b"01-Jan-0001 00:00:00 +1200",
        b"xx-Jul-1996 02:44:25 +0000",
        b"",
    ],
)
def test_broken_moment_is_bad(text: bytes) -> None:
    with pytest.raises(BadCommandError):
        parse_date_time(text)


@pytest.mark.parametrize("text", [b"1-Jan", b"0-Jan-2020", b"30-Feb-2020", b"1-Foo-2020", b"1-Jan-0000"])
def test_broken_day_is_bad(text: bytes) -> None:
    with pytest.raises(BadCommandError):
        parse_date(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (b"", b'""'),
        (b'a"b\\', b'"a\\"b\\\\"'),
        (b"a\r\n", b"{3}\r\na\r\n"),
        (b"\xff", b"{1}\r\n\xff"),
        (b"\0", b"{1}\r\n\x80"),
        (b"x" * 1024, b'"' + b"x" * 1024 + b'"'),
        (b"x" * 1025, b"{1025}\r\n" + b"x" * 1025),
    ],
)
def test_string_is_quoted_where_it_may_be(text: bytes, written: bytes) -> None:
    assert format_string(text) == written


def test_atoms_and_nil_are_not_mixed_up() -> None:
    assert [format_astring(text) for text in (b"a", b"nil", b"a b", b"")] == [b"a", b'"nil"', b'"a b"', b'""']
    assert format_nstring(None) == b"NIL"


class Entry:
    def __init__(self) -> None:
        self.due_second = 0


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(1, 100)), max_size=20), st.floats(0, 110))
def test_wheel_serves_what_is_due_and_keeps_the_rest(
    puts: list[tuple[int, float]], now_seconds: float
) -> None:
    wheel: DeadlineWheel[Entry] = DeadlineWheel()
    entries = [Entry() for _ in range(6)]
    deadlines: dict[int, float] = {}
    for number, due_at in puts:
        wheel.put(entries[number], due_at)
        deadlines[number] = due_at

    served = {entries.index(entry) for entry in wheel.take_due(now_seconds)}
    assert all(deadlines[number] <= now_seconds for number in served)
    assert {number for number, due_at in deadlines.items() if due_at + 1 <= now_seconds} <= served
    assert set(deadlines) - served == {entries.index(entry) for entry in wheel.take_due(200)}


def test_removed_entry_is_not_served() -> None:
    wheel: DeadlineWheel[Entry] = DeadlineWheel()
    entry = Entry()
    wheel.put(entry, 5)
    wheel.remove(entry)
    wheel.remove(entry)

    assert list(wheel.take_due(100)) == []
