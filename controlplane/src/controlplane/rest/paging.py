"""Hand out long lists in pages, by the key of the last item.

For: lists that grow. A page costs the same wherever it is, and nothing is shown twice or left out because
something else was added or removed meanwhile.
Not for: queries; each list has its own.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from controlplane.errors import (
    ControlPlaneError,
)
from controlplane.rest.errors import (
    BadCursorError,
)

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_CURSOR = 1024

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None = Field(description="Where the next page begins; null on the last one.")


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which page is asked for. A dependency."""

    refusals: ClassVar[tuple[type[ControlPlaneError], ...]] = (BadCursorError,)

    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items on a page at most.")] = DEFAULT_LIMIT
    cursor: Annotated[
        str | None, Query(max_length=MAX_CURSOR, description="The last answer's next_cursor.")
    ] = None

    def read_text(self, name: str) -> str:
        """Read after which text the page begins. Raises: BadCursorError."""
        key = self._read(name)
        if key is None:
            return ""
        if not isinstance(key, str) or "\0" in key:
            raise BadCursorError
        return key

    def read_number(self, name: str) -> int | None:
        """Read after which number the page begins; `None` for the first page. Raises: BadCursorError."""
        key = self._read(name)
        if key is None:
            return None
        if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < 1 << 31:
            raise BadCursorError
        return key

    def cut(self, name: str, items: Sequence[Item], key_of: Callable[[Item], str | int]) -> Page[Item]:
        """Make a page of items, of which one more was asked for than a page holds."""
        shown = list(items[: self.limit])
        is_last = len(items) <= self.limit
        return Page(items=shown, next_cursor=None if is_last else write_cursor(name, key_of(shown[-1])))

    def _read(self, name: str) -> object:
        return None if self.cursor is None else read_cursor(name, self.cursor)


PageDep = Annotated[PageQuery, Depends()]


def write_cursor(name: str, key: str | int | tuple[str | int, ...]) -> str:
    """Write a cursor: which list it is of, and the key of the last item."""
    return urlsafe_b64encode(json.dumps([name, key]).encode()).decode().rstrip("=")


def read_cursor(name: str, cursor: str) -> object:
    """Read the key in a cursor of a list; it may be anything that JSON knows.

    Raises:
        BadCursorError: It is none, or of another list.
    """
    try:
        content = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        whose, key = json.loads(content)
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise BadCursorError from error
    if whose != name or key is None:
        raise BadCursorError
    return key
