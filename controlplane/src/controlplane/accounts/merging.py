"""Merge what several nodes list into one list in pages: pure functions.

    node a ──▶ page ┐
    node b ──▶ page ┼─▶ sorted by (value, address, node) ─▶ cut ─▶ cursor = place of the last item
    node c ──▶ page ┘

A page begins behind a place. A node is asked for what is behind it by value and address; only a node whose
name comes behind that of the place may still have an item with just this value and address.

For: live.py.
Not for: asking.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from controlplane.rest.errors import (
    BadCursorError,
)
from controlplane.rest.paging import read_cursor, write_cursor
from nodelink.contract.accounts import LARGEST_NUMBER, AccountEntry, AccountsAfter, AccountSort

Place = tuple[int, str, str]
"""Value, address, node."""

PLACE_PARTS = 3
MAX_ADDRESS = 320
MAX_NODE = 63

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Order:
    """In what order a list is."""

    name: str
    is_descending: bool

    @property
    def cursor_name(self) -> str:
        """Name the list in its cursors, so that a cursor fits no other order."""
        return f"{self.name} {'desc' if self.is_descending else 'asc'}"

    def is_behind(self, place: Place, after: Place | None) -> bool:
        """Tell whether a place comes behind another one."""
        if after is None:
            return True
        return place < after if self.is_descending else place > after


def read_place(order: Order, cursor: str | None) -> Place | None:
    """Read behind which place a page begins; `None` for the first one. Raises: BadCursorError."""
    if cursor is None:
        return None
    key = read_cursor(order.cursor_name, cursor)
    if not isinstance(key, list) or len(key) != PLACE_PARTS:
        raise BadCursorError
    value, address, node = key
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_NUMBER:
        raise BadCursorError
    if not isinstance(address, str) or not isinstance(node, str):
        raise BadCursorError
    if len(address) > MAX_ADDRESS or len(node) > MAX_NODE or "\0" in address + node:
        raise BadCursorError
    return value, address, node


def ask_behind(order: Order, after: Place | None, node: str) -> AccountsAfter | None:
    """Decide where a node's page begins."""
    if after is None:
        return None
    value, address, place_node = after
    is_included = node < place_node if order.is_descending else node > place_node
    return AccountsAfter(value=value, address=address, is_included=is_included)


def merge(
    pages: Mapping[str, Iterable[ItemT]],
    place_of: Callable[[str, ItemT], Place],
    order: Order,
    after: Place | None,
    limit: int,
) -> tuple[list[ItemT], str | None]:
    """Merge pages of nodes, each of one item more than wanted where it has so many.

    What a node should not have named is left out, so that no list goes round in circles.

    Returns:
        The items of the page, and its cursor; `None` where nothing follows.
    """
    placed = {
        place_of(node, item): item
        for node, page in pages.items()
        for item in page
        if order.is_behind(place_of(node, item), after)
    }
    places = sorted(placed, reverse=order.is_descending)
    shown = places[:limit]
    is_last = len(places) <= limit
    cursor = None if is_last else write_cursor(order.cursor_name, shown[-1])
    return [placed[place] for place in shown], cursor


def value_of(entry: AccountEntry, sort: AccountSort) -> int:
    """Tell by what number an account is sorted."""
    match sort:
        case AccountSort.ADDRESS:
            return 0
        case AccountSort.SIZE:
            return entry.size_bytes
        case AccountSort.LAST_LOGIN:
            return entry.last_login_at_seconds or 0
