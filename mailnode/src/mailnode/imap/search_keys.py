"""What SEARCH may ask of a message: a tree of frozen values.

For: the search parser, which makes them, and search.py, which evaluates them.
Not for: reading messages.

Source: RFC 3501 section 6.4.4. Keys that are short for others (ALL, NEW, SENTON …) are gone after parsing.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mailnode.imap.sequence_set import SequenceSet


class DateRelation(StrEnum):
    """How a message's day must stand to the given one."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of these; none at all is true of every message."""

    keys: tuple["SearchKey", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these."""

    keys: tuple["SearchKey", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    key: "SearchKey"


@dataclass(frozen=True, slots=True)
class HasFlag:
    """The message has a flag; `flag` is in lower case."""

    flag: str


@dataclass(frozen=True, slots=True)
class IsRecent:
    r"""The message is `\Recent` in this session."""


@dataclass(frozen=True, slots=True)
class NumberIn:
    """The message number, or the UID, is in a set, which `search.settle_sets` settles before it is asked."""

    messages: SequenceSet
    is_uid: bool


@dataclass(frozen=True, slots=True)
class LargerThan:
    """The message has more octets."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class SmallerThan:
    """The message has fewer octets."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class ReceivedDate:
    """The INTERNALDATE, as a day in UTC."""

    relation: DateRelation
    day: date


@dataclass(frozen=True, slots=True)
class SentDate:
    """The day in the Date field, whatever its zone."""

    relation: DateRelation
    day: date


@dataclass(frozen=True, slots=True)
class HeaderContains:
    """A field of that name has this text somewhere; an empty text asks whether there is such a field."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class BodyContains:
    """The decoded text below the header has this text somewhere."""

    text: str


@dataclass(frozen=True, slots=True)
class TextContains:
    """Header or body have this text somewhere."""

    text: str


SearchKey = (
    AllOf
    | AnyOf
    | Not
    | HasFlag
    | IsRecent
    | NumberIn
    | LargerThan
    | SmallerThan
    | ReceivedDate
    | SentDate
    | HeaderContains
    | BodyContains
    | TextContains
)
