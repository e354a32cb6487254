"""Cursors and tags: what goes out comes back, and nothing else is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from controlplane.rest.errors import (
    BadCursorError,
    BadTagError,
    ChangedMeanwhileError,
    NothingSeenError,
)
from controlplane.rest.paging import PageQuery, read_cursor, write_cursor
from controlplane.rest.tags import OptionalPrecondition, Precondition, read_tags, write_tag


class Thing(BaseModel):
    name: str
    age: int


TAG = write_tag(Thing(name="x", age=1))


@given(st.text() | st.integers(0, 1 << 31))
def test_cursor_carries_its_key(key: str | int) -> None:
    assert read_cursor("things", write_cursor("things", key)) == key


def test_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(BadCursorError):
        read_cursor("nodes", write_cursor("things", "a"))


@given(st.text())
def test_made_up_cursor_is_refused_or_of_this_list(cursor: str) -> None:
    query = PageQuery(50, cursor)
    for read in (query.read_text, query.read_number):
        with pytest.raises(BadCursorError):
            read("things")


@pytest.mark.parametrize("key", ["a\0", 5])
def test_cursor_of_names_holds_a_name(key: str | int) -> None:
    with pytest.raises(BadCursorError):
        PageQuery(50, write_cursor("things", key)).read_text("things")


@pytest.mark.parametrize("key", ["a", -1, 1 << 31])
def test_cursor_of_numbers_holds_a_number(key: str | int) -> None:
    with pytest.raises(BadCursorError):
        PageQuery(50, write_cursor("things", key)).read_number("things")


@given(st.sets(st.integers(1, 1000)), st.integers(1, 200))
def test_pages_hold_everything_once_and_in_order(keys: set[int], limit: int) -> None:
    ordered, seen, cursor = sorted(keys), list[int](), None
    while True:
        query = PageQuery(limit, cursor)
        after = query.read_number("things") or 0
        page = query.cut("things", [key for key in ordered if key > after][: limit + 1], lambda key: key)
        assert len(page.items) <= limit
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == ordered


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("*", None),
        (" * ", None),
        ('"a"', {'"a"'}),
        ('"a", "b"', {'"a"', '"b"'}),
        ('"a",,"b",', {'"a"', '"b"'}),
        ('W/"a"', set()),
        ('W/"a", "b"', {'"b"'}),
        ('""', {'""'}),
    ],
)
def test_tags_are_read(header: str, tags: set[str] | None) -> None:
    assert read_tags(header) == tags


@pytest.mark.parametrize("header", ["", ",", "a", '"a', '"a" "b"', "*, *", 'w/"a"', '"a\x7f"'])
def test_what_is_no_tag_is_refused(header: str) -> None:
    with pytest.raises(BadTagError):
        read_tags(header)


@given(st.text())
def test_any_header_is_read_or_refused(header: str) -> None:
    try:
        tags = read_tags(header)
    except BadTagError:
        return
    assert tags is None or all(tag.startswith('"') for tag in tags)


def test_tag_stands_for_what_it_is_made_of() -> None:
    assert write_tag(Thing(name="x", age=1)) == TAG
    assert write_tag(Thing(name="x", age=2)) != TAG
    assert write_tag(Thing(name="x", age=2), {"name"}) == write_tag(Thing(name="x", age=1), {"name"})
    assert write_tag(Thing(name="y", age=2), {"name"}) != write_tag(Thing(name="x", age=2), {"name"})


def test_change_says_what_was_seen() -> None:
    Precondition(TAG).check(TAG)
    Precondition("*").check(TAG)
    OptionalPrecondition(None).check(TAG)
    with pytest.raises(NothingSeenError):
        Precondition(None).check(TAG)
    for precondition in (Precondition, OptionalPrecondition):
        with pytest.raises(ChangedMeanwhileError):
            precondition('"other"').check(TAG)
        with pytest.raises(ChangedMeanwhileError):
            precondition(f"W/{TAG}").check(TAG)
