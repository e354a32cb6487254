"""Parse what SEARCH asks for.

Source: RFC 3501 section 6.4.4, and section 9 (search, search-key).
"""

from collections.abc import Callable
from dataclasses import dataclass

from mailnode.imap.dates import parse_date
from mailnode.imap.errors import BadCommandError, RefusedError, ResponseCode
from mailnode.imap.lexer import Cursor
from mailnode.imap.search_keys import (
    AllOf,
    AnyOf,
    BodyContains,
    DateRelation,
    HasFlag,
    HeaderContains,
    IsRecent,
    LargerThan,
    Not,
    NumberIn,
    ReceivedDate,
    SearchKey,
    SentDate,
    SmallerThan,
    TextContains,
)
from mailnode.imap.sequence_set import read_sequence_set

MAX_DEPTH = 32
MAX_KEYS = 256

_ENCODINGS = {b"US-ASCII": "ascii", b"UTF-8": "utf-8"}

_SIMPLE: dict[bytes, SearchKey] = {
    b"ALL": AllOf(()),
    b"ANSWERED": HasFlag("\\answered"),
    b"DELETED": HasFlag("\\deleted"),
    b"DRAFT": HasFlag("\\draft"),
    b"FLAGGED": HasFlag("\\flagged"),
    b"NEW": AllOf((IsRecent(), Not(HasFlag("\\seen")))),
    b"OLD": Not(IsRecent()),
    b"RECENT": IsRecent(),
    b"SEEN": HasFlag("\\seen"),
    b"UNANSWERED": Not(HasFlag("\\answered")),
    b"UNDELETED": Not(HasFlag("\\deleted")),
    b"UNDRAFT": Not(HasFlag("\\draft")),
    b"UNFLAGGED": Not(HasFlag("\\flagged")),
    b"UNSEEN": Not(HasFlag("\\seen")),
}
_WITH_DATE: dict[bytes, tuple[type[ReceivedDate | SentDate], DateRelation]] = {
    b"BEFORE": (ReceivedDate, DateRelation.BEFORE),
    b"ON": (ReceivedDate, DateRelation.ON),
    b"SINCE": (ReceivedDate, DateRelation.SINCE),
    b"SENTBEFORE": (SentDate, DateRelation.BEFORE),
    b"SENTON": (SentDate, DateRelation.ON),
    b"SENTSINCE": (SentDate, DateRelation.SINCE),
}
_WITH_TEXT: dict[bytes, Callable[[str], SearchKey]] = {
    b"BCC": lambda text: HeaderContains("bcc", text),
    b"BODY": BodyContains,
    b"CC": lambda text: HeaderContains("cc", text),
    b"FROM": lambda text: HeaderContains("from", text),
    b"SUBJECT": lambda text: HeaderContains("subject", text),
    b"TEXT": TextContains,
    b"TO": lambda text: HeaderContains("to", text),
}


def read_search(cursor: Cursor) -> SearchKey:
    """Take the whole of what is asked for.

    Raises:
        BadCommandError: It is no search, or one that is nested too deeply or has too many keys.
        RefusedError: The character set is not known.
    """
    charset = b"UTF-8"  # nothing said: US-ASCII by the standard, of which this is a superset
    if cursor.line[cursor.at : cursor.at + 8].upper() == b"CHARSET ":
        cursor.at += 8
        charset = cursor.astring().upper()
        cursor.space()
    if charset not in _ENCODINGS:
        raise RefusedError(ResponseCode.BAD_CHARSET, "That character set is not known")
    parser = _Parser(cursor, _ENCODINGS[charset])
    keys = parser.read_keys(0)
    cursor.end()
    return keys


@dataclass(slots=True)
class _Parser:
    """Reads keys; counts them, since each costs time for each message."""

    cursor: Cursor
    encoding: str
    keys_read: int = 0

    def read_keys(self, depth: int) -> SearchKey:
        """Take keys as long as there are any; every one must hold."""
        keys = [self._read_key(depth)]
        while self.cursor.skip(b" ") and self.cursor.at < len(self.cursor.line):
            keys.append(self._read_key(depth))
        return keys[0] if len(keys) == 1 else AllOf(tuple(keys))

    def _read_key(self, depth: int) -> SearchKey:
        self.keys_read += 1
        if depth > MAX_DEPTH or self.keys_read > MAX_KEYS:
            raise BadCommandError("The search is too complicated")
        cursor = self.cursor
        if cursor.skip(b"("):
            keys = self.read_keys(depth + 1)
            cursor.expect(b")")
            return keys
        if cursor.line[cursor.at : cursor.at + 1] in (b"*", *(b"%d" % digit for digit in range(10))):
            return NumberIn(read_sequence_set(cursor), is_uid=False)
        word = cursor.keyword()
        simple = _SIMPLE.get(word)
        if simple is not None:
            return simple
        cursor.space()
        return self._read_argument(word, depth)

    def _read_argument(self, word: bytes, depth: int) -> SearchKey:  # noqa: C901, PLR0911 - one case for each kind of key
        cursor = self.cursor
        if word in _WITH_TEXT:
            return _WITH_TEXT[word](self._read_text())
        if word in _WITH_DATE:
            date_key, relation = _WITH_DATE[word]
            return date_key(relation, parse_date(cursor.astring()))
        match word:
            case b"NOT":
                return Not(self._read_key(depth + 1))
            case b"OR":
                first = self._read_key(depth + 1)
                cursor.space()
                return AnyOf((first, self._read_key(depth + 1)))
            case b"UID":
                return NumberIn(read_sequence_set(cursor), is_uid=True)
            case b"HEADER":
                field = cursor.astring().decode("latin-1").lower()
                cursor.space()
                return HeaderContains(field, self._read_text())
            case b"KEYWORD":
                return HasFlag(cursor.atom().decode("ascii").lower())
            case b"UNKEYWORD":
                return Not(HasFlag(cursor.atom().decode("ascii").lower()))
            case b"LARGER":
                return LargerThan(cursor.number())
            case b"SMALLER":
                return SmallerThan(cursor.number())
            case _:
                raise BadCommandError("There is no such search key")

    def _read_text(self) -> str:
        try:
            return self.cursor.astring().decode(self.encoding).casefold()
        except UnicodeDecodeError as error:
            raise BadCommandError("A search string is not in the character set that was named") from error
