"""Names of mailboxes: how they are written on the wire, which may be created, and which a pattern means.

For: modified UTF-7, INBOX in any spelling, `%` and `*`.
Not for: which mailboxes there are.

Source: RFC 3501 sections 5.1, 5.1.3 and 6.3.8.
"""

import base64
import binascii
import re
import unicodedata
from functools import lru_cache

from mailnode.imap.errors import BadCommandError, RefusedError, ResponseCode
from mailnode.store.mail_store import HIERARCHY_DELIMITER, INBOX

MAX_NAME_BYTES = 255
"""How long an encoded name may be that is created."""

MAX_PATTERN_BYTES = 1024
MAX_WILDCARDS = 32

_ENCODED = re.compile(rb"&([^-]*)-")
_SHIFTED = re.compile(rb"[A-Za-z0-9+,]+")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_WILDCARDS = re.compile(rb"[*%]+")


@lru_cache(maxsize=256)
def decode_name(wire: bytes) -> str:
    """Decode a name; INBOX comes in capitals, however it was spelled.

    Raises:
        BadCommandError: The bytes are no modified UTF-7, or not its only right spelling.
    """
    if wire.upper() == b"INBOX":
        return INBOX
    try:
        name = _ENCODED.sub(_decode_shifted, wire).decode()
    except (UnicodeError, binascii.Error) as error:
        raise BadCommandError("A mailbox name is no modified UTF-7") from error
    if encode_name(name) != wire:  # else two spellings would name one mailbox, and could be told apart
        raise BadCommandError("A mailbox name is no modified UTF-7")
    return name


@lru_cache(maxsize=256)
def encode_name(name: str) -> bytes:
    """Encode a name in modified UTF-7."""
    return _UNPRINTABLE.sub(_encode_run, name.replace("&", "&-")).encode("ascii")


def check_new_name(name: str) -> None:
    """Refuse a name that no mailbox should have.

    Raises:
        RefusedError: It is empty, too long, has an empty level, or holds wildcards or control characters.
    """
    if len(encode_name(name)) > MAX_NAME_BYTES:
        raise RefusedError(ResponseCode.LIMIT, "That mailbox name is too long")
    if not all(name.split(HIERARCHY_DELIMITER)):
        raise RefusedError(ResponseCode.CANNOT, "No level of a mailbox name may be empty")
    if any(letter in "*%" or unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise RefusedError(ResponseCode.CANNOT, "A mailbox name may not hold such characters")
    if name.upper().startswith(INBOX + HIERARCHY_DELIMITER) and not name.startswith(INBOX):
        raise RefusedError(ResponseCode.CANNOT, "Write INBOX in capitals")


def superiors(name: str) -> list[str]:
    """List the names above a name, the topmost first."""
    levels = name.split(HIERARCHY_DELIMITER)
    return [HIERARCHY_DELIMITER.join(levels[:depth]) for depth in range(1, len(levels))]


class NamePattern:
    """A pattern of LIST and LSUB: `*` stands for anything, `%` for anything within one level.

    Every way to match is followed at once, one bit of an integer for each place in the pattern; so no
    pattern, however it is made, takes long.
    """

    __slots__ = ("_end", "_letters", "_percents", "_stars", "_text")

    def __init__(self, text: bytes) -> None:
        """Prepare a pattern. Raises: RefusedError."""
        text = _WILDCARDS.sub(lambda run: b"*" if b"*" in run[0] else b"%", text)
        if len(text) > MAX_PATTERN_BYTES or text.count(b"*") + text.count(b"%") > MAX_WILDCARDS:
            raise RefusedError(ResponseCode.LIMIT, "That pattern is too long")
        self._text = text
        self._end = 1 << len(text)
        self._letters: dict[int, int] = {}
        self._stars = self._percents = 0
        for place, letter in enumerate(text):
            if letter == ord("*"):
                self._stars |= 1 << place
            elif letter == ord("%"):
                self._percents |= 1 << place
            else:
                self._letters[letter] = self._letters.get(letter, 0) | 1 << place

    def matches(self, name: str) -> bool:
        """Tell whether a name is meant. INBOX is meant by its pattern in any spelling."""
        if name == INBOX and self._text != self._text.upper():
            return NamePattern(self._text.upper()).matches(name)
        wildcards = self._stars | self._percents
        places = 1 | (1 & wildcards) << 1
        for letter in encode_name(name):
            staying = places & (self._stars if letter == ord(HIERARCHY_DELIMITER) else wildcards)
            places = (places & self._letters.get(letter, 0)) << 1 | staying
            places |= (places & wildcards) << 1
            if not places:
                return False
        return places & self._end != 0


def _decode_shifted(run: re.Match[bytes]) -> bytes:
    if not run[1]:
        return b"&"
    if not _SHIFTED.fullmatch(run[1]):
        raise binascii.Error
    padded = run[1].replace(b",", b"/") + b"=" * (-len(run[1]) % 4)
    return base64.b64decode(padded, validate=True).decode("utf-16-be").encode()


def _encode_run(run: re.Match[str]) -> str:
    encoded = base64.b64encode(run[0].encode("utf-16-be", "surrogatepass")).rstrip(b"=")
    return f"&{encoded.replace(b'/', b',').decode()}-"
