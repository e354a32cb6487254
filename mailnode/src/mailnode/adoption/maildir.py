"""Read a Maildir as Dovecot keeps it: messages, their UIDs, flags and keywords.

    dovecot-uidlist     3 V<UIDVALIDITY> N<next UID> …     then  <UID> [fields] :<file name>
    cur, new            <file name>:2,<flags>              plain, or compressed by gzip

For: relay.py.
Not for: indexes, which Dovecot can make again from these; or writing.

Source: https://doc.dovecot.org/2.3/admin_manual/mailbox_formats/maildir/, version 3 of dovecot-uidlist.
"""

import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mailnode.adoption.sources import AdoptionError, FoundMailbox, FoundMessage, use_network_lines
from mailnode.store.mail_store import Flags

MAX_MESSAGE_BYTES = 1 << 30
MAX_UID = (1 << 32) - 1
_FLAGS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_GZIP = b"\x1f\x8b"
_HEADER = re.compile(r"3(?: [A-Z][^ ]*)*")
_ENTRY = re.compile(r"([0-9]{1,10})(?: [A-Z][^ :]*)* :(.+)")


@dataclass(frozen=True, slots=True)
class UidList:
    """What a `dovecot-uidlist` says; `uids` are by the part of file names that never changes."""

    uid_validity: int
    uid_next: int
    uids: Mapping[str, int]


def parse_uid_list(text: str) -> UidList:
    """Read a `dovecot-uidlist`. Raises: AdoptionError."""
    head, *lines = text.split("\n")
    fields = {field[0]: field[1:] for field in head.split(" ")[1:] if field}
    numbers = [fields.get(name, "") for name in "VN"]
    if not _HEADER.fullmatch(head) or not all(number.isascii() and number.isdigit() for number in numbers):
        raise AdoptionError("its dovecot-uidlist is not of version 3")
    uid_validity, uid_next = map(int, numbers)
    uids: dict[str, int] = {}
    for line in lines:
        entry = _ENTRY.fullmatch(line)
        if entry is not None:  # one that is being written may be cut off
            uids[_stem(entry[2])] = int(entry[1])
    uid_next = max(uid_next, *(uid + 1 for uid in uids.values())) if uids else uid_next
    if not 1 <= uid_validity <= MAX_UID or not 1 <= uid_next <= MAX_UID or 0 in uids.values():
        raise AdoptionError("its dovecot-uidlist has numbers that no mail server may use")
    return UidList(uid_validity, uid_next, uids)


def read_maildir(directory: Path, name: str, uid_validity: int, *, is_subscribed: bool) -> FoundMailbox:
    """Read one Maildir; `uid_validity` is for one that nobody has opened. Raises: AdoptionError, OSError."""
    path = directory / "dovecot-uidlist"
    known = (
        parse_uid_list(path.read_text("utf-8", "surrogateescape"))
        if path.exists()
        else UidList(uid_validity, 1, {})
    )
    keywords = _read_keywords(directory / "dovecot-keywords")
    messages = [
        _describe(file, known.uids.get(_stem(file.name)), keywords)
        for part in ("cur", "new")
        if (directory / part).is_dir()
        for file in sorted((directory / part).iterdir())
        if not file.name.startswith(".")
    ]
    messages.sort(key=lambda message: (message.uid is None, message.uid or 0))
    return FoundMailbox(name, known.uid_validity, known.uid_next, is_subscribed, messages)


def _describe(file: Path, uid: int | None, keywords: Mapping[str, str]) -> FoundMessage:
    _, _, letters = file.name.partition(":2,")
    flags: Flags = frozenset(
        _FLAGS.get(letter) or keywords[letter] for letter in letters if letter in _FLAGS or letter in keywords
    )
    return FoundMessage(uid, flags, int(file.stat().st_mtime), partial(_read_message, file))


def _read_message(file: Path) -> bytes:
    body = file.read_bytes()
    if body.startswith(_GZIP):
        try:
            with gzip.open(file) as packed:
                body = packed.read(MAX_MESSAGE_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise AdoptionError(f"{file.name} is compressed and damaged") from error
    if len(body) > MAX_MESSAGE_BYTES:
        raise AdoptionError(f"{file.name} is larger than any message may be")
    return use_network_lines(body)


def _read_keywords(path: Path) -> dict[str, str]:
    """Read which letter stands for which keyword."""
    if not path.exists():
        return {}
    keywords = {}
    for line in path.read_text("utf-8", "replace").split("\n"):
        number, _, keyword = line.partition(" ")
        if number.isascii() and number.isdigit() and int(number) < 26 and keyword:
            keywords[chr(ord("a") + int(number))] = keyword
    return keywords


def _stem(name: str) -> str:
    """Leave out what changes with flags."""
    return name.partition(":2,")[0]
