"""What is taken over, whatever kind of server it comes from.

For: the readers, which fill it, and adopting.py, which stores it.
Not for: files or rows of a certain server.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mailnode.store.mail_store import Flags


class AdoptionError(Exception):
    """Something cannot be taken over; the text says what, and what to do."""


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message. `uid` is `None` where none was given yet; `read` may raise AdoptionError."""

    uid: int | None
    flags: Flags
    received_at_seconds: int
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class FoundMailbox:
    """A mailbox with its messages in the order of their UIDs; those without one come last."""

    name: str
    uid_validity: int
    uid_next: int
    is_subscribed: bool
    messages: Sequence[FoundMessage]


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """An account. `problem` says why it cannot be taken over; then nothing else counts."""

    address: str
    password_hash: str
    last_login_at_seconds: int | None
    open_mailboxes: Callable[[], Iterator[FoundMailbox]]
    problem: str | None = None


def use_network_lines(body: bytes) -> bytes:
    """End each line with CRLF, however the other server has kept it."""
    return body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
