"""Sets of message numbers or UIDs, as commands name them: `1,3:5,9:*`.

For: parsing them, choosing from what a mailbox holds, and writing them.
Not for: what a mailbox holds (view.py).

Source: RFC 3501 section 9 (sequence-set) and section 6.4.8.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from mailnode.imap.errors import BadCommandError
from mailnode.imap.lexer import MAX_NUMBER, Cursor

STAR = 0
"""Stands for `*`, the largest number in use; zero itself is no message number."""

SequenceSet = tuple[tuple[int, int], ...]
"""Ranges as they were written; the ends of each in either order."""

_SET = re.compile(rb"[0-9:*,]+")
_ONE = re.compile(rb"[1-9]\d{0,9}")
_RANGE = re.compile(rb"([1-9]\d{0,9}|\*)(?::([1-9]\d{0,9}|\*))?")


def read_sequence_set(cursor: Cursor) -> SequenceSet:
    """Take a set. Raises: BadCommandError."""
    return parse_sequence_set(cursor.pattern(_SET, "a set of messages is missing"))


def parse_sequence_set(text: bytes) -> SequenceSet:
    """Parse a set. Raises: BadCommandError."""
    if _ONE.fullmatch(text):
        number = _number(text)
        return ((number, number),)
    ranges = []
    for part in text.split(b","):
        found = _RANGE.fullmatch(part)
        if found is None:
            raise BadCommandError("A set of messages is broken")
        first = _number(found[1])
        ranges.append((first, first if found[2] is None else _number(found[2])))
    return tuple(ranges)


def choose_numbers(chosen: SequenceSet, count: int) -> list[int]:
    """Choose among the message numbers 1 to `count`; the result grows.

    Raises:
        BadCommandError: A number is not in use; `*` is none in an empty mailbox.
    """
    if any(max(ends) > count for ends in chosen) or not count:
        raise BadCommandError("There is no message of that number")
    return [number for first, last in _merged(chosen, count) for number in range(first, last + 1)]


def choose_indexes(chosen: SequenceSet, uids: Sequence[int]) -> list[int]:
    """Choose among growing UIDs, and return their indexes. UIDs that are not there are no mistake."""
    if not uids:
        return []
    if len(chosen) == 1:
        first, last = chosen[0]
        first, last = first or uids[-1], last or uids[-1]
        if first > last:
            first, last = last, first
        return list(range(bisect_left(uids, first), bisect_right(uids, last)))
    return [
        index
        for first, last in _merged(chosen, uids[-1])
        for index in range(bisect_left(uids, first), bisect_right(uids, last))
    ]


def settle(chosen: SequenceSet, largest: int) -> SequenceSet:
    """Turn a set into ranges that grow and do not touch; `largest` is `*`, and zero where nothing is."""
    return tuple(_merged(chosen, largest))


def is_in_settled(number: int, settled: SequenceSet) -> bool:
    """Tell whether a number is in a set that was settled."""
    place = bisect_right(settled, (number, MAX_NUMBER)) - 1
    return place >= 0 and number <= settled[place][1]


def format_sequence_set(numbers: Iterable[int]) -> bytes:
    """Write numbers as a set in their order, runs that grow by one as ranges. Source: RFC 4315 section 3."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return b",".join(b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in runs)


def _number(text: bytes) -> int:
    number = STAR if text == b"*" else int(text)
    if number > MAX_NUMBER:
        raise BadCommandError("A number in a set of messages is too large")
    return number


def _merged(chosen: SequenceSet, largest: int) -> list[tuple[int, int]]:
    """Turn ranges into ones that grow and do not touch, so that none is served twice."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((min(ends), max(ends)) for ends in _without_stars(chosen, largest)):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _without_stars(chosen: SequenceSet, largest: int) -> list[tuple[int, int]]:
    return [(first or largest, last or largest) for first, last in chosen]
