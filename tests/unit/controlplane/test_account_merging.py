"""Pages over several nodes list each account once, in order, whatever the nodes hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.accounts.merging import Order, ask_behind, merge, read_place
from controlplane.rest.errors import (
    BadCursorError,
)
from controlplane.rest.paging import write_cursor
from nodelink.contract.accounts import LARGEST_NUMBER

Held = dict[str, dict[str, int]]
"""Node, address, value. The same address may be on two nodes, with the same value."""

held = st.dictionaries(
    st.sampled_from(["mail1", "mail2", "mail3", "mail4"]),
    st.dictionaries(st.sampled_from(["a@x", "b@x", "b@y", "c@x", "ä@x"]), st.integers(0, 2), max_size=5),
)


def list_page(
    accounts: dict[str, int], order: Order, after: tuple[int, str, bool] | None, limit: int
) -> list[tuple[int, str]]:
    """List as a node does."""
    places = sorted(((value, address) for address, value in accounts.items()), reverse=order.is_descending)
    if after is not None:
        place = after[:2]
        places = [
            each
            for each in places
            if (each < place if order.is_descending else each > place) or (after[2] and each == place)
        ]
    return places[:limit]


@given(held, st.booleans(), st.integers(1, 4))
def test_pages_over_nodes_list_each_account_once_and_sorted(
    nodes: Held, is_descending: bool, limit: int
) -> None:
    order = Order("accounts size", is_descending)
    listed: list[tuple[int, str, str]] = []
    cursor: str | None = None
    while True:
        after = read_place(order, cursor)
        pages = {}
        for node, accounts in nodes.items():
            behind = ask_behind(order, after, node)
            start = None if behind is None else (behind.value, behind.address, behind.is_included)
            pages[node] = [(*each, node) for each in list_page(accounts, order, start, limit + 1)]
        items, cursor = merge(pages, lambda _, item: item, order, after, limit)
        assert len(items) <= limit
        listed += items
        if cursor is None:
            break

    everything = [(value, address, node) for node, held in nodes.items() for address, value in held.items()]
    assert listed == sorted(everything, reverse=is_descending)


def test_node_that_repeats_itself_ends_the_list() -> None:
    order = Order("accounts address", is_descending=False)
    items, cursor = merge(
        {"mail1": [(0, "a@x", "mail1")]}, lambda _, item: item, order, (0, "b@x", "mail1"), 1
    )

    assert (items, cursor) == ([], None)


@pytest.mark.parametrize(
    "key",
    [
        (),
        (0, "a"),
        (-1, "a", "n"),
        (LARGEST_NUMBER + 1, "a", "n"),
        ("0", "a", "n"),
        (0, 1, "n"),
        (0, "a\0", "n"),
        (0, "a" * 321, "n"),
        (0, "a", "n" * 64),
    ],
)
def test_cursor_that_nobody_was_given_is_refused(key: tuple[str | int, ...]) -> None:
    with pytest.raises(BadCursorError):
        read_place(Order("x", is_descending=False), write_cursor("x asc", key))


@pytest.mark.parametrize("key", [(0, "", ""), (LARGEST_NUMBER, "a" * 320, "n" * 63)])
def test_cursor_is_read_as_it_was_written(key: tuple[int, str, str]) -> None:
    assert read_place(Order("x", is_descending=False), write_cursor("x asc", key)) == key


@given(st.text(max_size=200))
def test_any_text_is_a_cursor_or_refused(cursor: str) -> None:
    try:
        read_place(Order("x", is_descending=False), cursor)
    except BadCursorError:
        return
