"""Read the words of a command from left to right.

For: the parsers; each method takes one construct of RFC 3501 section 9 or refuses the command.
Not for: knowing commands.
"""

import re

from mailnode.imap.command_reader import CommandText
from mailnode.imap.errors import BadCommandError

MAX_NUMBER = 0xFFFF_FFFF

# RFC 3501 section 9: atom-specials, and what of them the other words allow.
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST_PATTERN = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
_TAG_AND_SPACE = re.compile(rb"(%b) " % _TAG.pattern)
_VERB = re.compile(rb"([Uu][Ii][Dd] )?([A-Za-z]+)(?= |\Z)")
# Octets above 127 are accepted in quoted strings, as clients send them in passwords and search strings.
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*(?:\\["\\][^"\\\r\n\x00]*)*)"')
_ESCAPED = re.compile(rb'\\(["\\])')
_NUMBER = re.compile(rb"\d{1,10}(?!\d)")
_LITERAL_MARKER = re.compile(rb"\{\d{1,10}\+?\}")
_NIL = re.compile(rb"NIL(?=[ )]|\Z)", re.IGNORECASE)


class Cursor:
    """A place in a command that only moves forward."""

    __slots__ = ("_literals_taken", "_text", "at", "line")

    def __init__(self, text: CommandText) -> None:
        self.line = text.line
        self.at = 0
        self._text = text
        self._literals_taken = 0

    def tag(self) -> bytes:
        """Take the tag and the space behind it."""
        found = _TAG_AND_SPACE.match(self.line)
        if found is not None:
            self.at = found.end()
            return found[1]
        tag = self._match(_TAG, "a command begins with a tag")
        self.space()
        return tag

    def verb(self) -> tuple[bool, bytes]:
        """Take the name of a command in capitals; tell before it whether UID stands there, too."""
        found = _VERB.match(self.line, self.at)
        if found is None:
            return False, self.keyword()
        self.at = found.end()
        return found[1] is not None, found[2].upper()

    def atom(self) -> bytes:
        """Take an atom."""
        return self._match(_ATOM, "an atom is missing")

    def keyword(self) -> bytes:
        """Take an atom in capitals: most words of IMAP may be written either way."""
        return self.atom().upper()

    def astring(self) -> bytes:
        """Take an atom or a string."""
        if self.is_at_string():
            return self.string()
        return self._match(_ASTRING, "a string is missing")

    def list_pattern(self) -> bytes:
        """Take a mailbox name that may hold wildcards."""
        if self.is_at_string():
            return self.string()
        return self._match(_LIST_PATTERN, "a pattern is missing")

    def string(self) -> bytes:
        """Take a quoted string or a literal."""
        if self.is_at(b"{"):
            return self._literal()
        quoted = self._match(_QUOTED, "a string is missing or broken")[1:-1]
        return _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted

    def nstring(self) -> bytes | None:
        """Take a string, or NIL."""
        nil = _NIL.match(self.line, self.at)
        if nil:
            self.at = nil.end()
            return None
        return self.string()

    def number(self) -> int:
        """Take a number of 32 bits."""
        number = int(self._match(_NUMBER, "a number is missing"))
        if number > MAX_NUMBER:
            raise BadCommandError("A number is too large")
        return number

    def pattern(self, pattern: re.Pattern[bytes], missing: str) -> bytes:
        """Take what a parser knows better how to recognise."""
        return self._match(pattern, missing)

    def is_at(self, octets: bytes) -> bool:
        """Tell whether these octets come next."""
        return self.line.startswith(octets, self.at)

    def is_at_string(self) -> bool:
        """Tell whether a quoted string or a literal comes next."""
        return self.line[self.at : self.at + 1] in (b'"', b"{")

    def skip(self, octets: bytes) -> bool:
        """Take these octets if they come next."""
        if self.line.startswith(octets, self.at):
            self.at += len(octets)
            return True
        return False

    def expect(self, octets: bytes) -> None:
        """Take these octets, which must come next."""
        if not self.skip(octets):
            raise BadCommandError(f"{octets.decode()!r} is missing")

    def space(self) -> None:
        """Take the one space that stands between arguments."""
        if not self.line.startswith(b" ", self.at):
            raise BadCommandError("An argument is missing")
        self.at += 1

    def rest(self) -> bytes:
        """Tell what is left; take it by setting `at`."""
        return self.line[self.at :]

    def end(self) -> None:
        """Refuse anything behind the last argument; some clients leave a space there."""
        self.skip(b" ")
        if self.at != len(self.line):
            raise BadCommandError(
                "There are too many arguments, or there is a character that may not stand there"
            )

    def _match(self, pattern: re.Pattern[bytes], missing: str) -> bytes:
        found = pattern.match(self.line, self.at)
        if found is None:
            raise BadCommandError(missing[0].upper() + missing[1:])
        self.at = found.end()
        return found[0]

    def _literal(self) -> bytes:
        marker = _LITERAL_MARKER.match(self.line, self.at)
        taken = self._literals_taken
        ends = self._text.marker_ends
        if marker is None or taken == len(ends) or marker.end() != ends[taken]:
            raise BadCommandError("A literal is broken")
        self.at = marker.end()
        self._literals_taken += 1
        literal = self._text.literals[taken]
        if b"\0" in literal:
            raise BadCommandError("A literal may not hold NUL")
        return literal
