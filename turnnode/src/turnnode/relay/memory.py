"""The seam for what outlives the process: what clients hold, and the sockets that they hold it on.

    granted, moved, ended ──▶ AllocationMemory           relay socket opened, closed ──▶ SocketKeeper
    the next process ◀── recall, then begin ──┘          the next process ◀── take_inherited ──┘

For: the machine and its sockets, which do not know whether anybody remembers.
Not for: files (journal.py) or the service manager (keeping.py).
"""

import socket
from collections.abc import Iterable
from typing import Protocol

from turnnode.relay.allocation import Allocation
from turnnode.relay.journal_format import Recollection


class AllocationMemory(Protocol):
    """Whoever remembers allocations. No call raises: a relay that is not remembered still relays."""

    def recall(self) -> Recollection:
        """Tell what the former process held."""

    def begin(self, nonce_key: bytes, allocations: Iterable[Allocation]) -> None:
        """Begin anew with what this process holds; nothing is remembered before."""

    def remember(self, allocation: Allocation) -> None:
        """Remember all that an allocation is now."""

    def forget(self, allocation: Allocation) -> None:
        """Forget an allocation that has ended."""

    def close(self) -> None:
        """Leave what is remembered to the next process."""


class SocketKeeper(Protocol):
    """Whoever keeps open sockets beyond the process."""

    def take_inherited(self) -> list[tuple[str, socket.socket]]:
        """Take the relay sockets of the former process, with the names under which they are kept."""

    def keep(self, sock: socket.socket) -> str | None:
        """Keep a socket; return its name, or `None` if there is no room: then it ends with the process."""

    def let_go(self, name: str) -> None:
        """Keep a socket no longer."""


class NoMemory:
    """Remembers nothing."""

    def recall(self) -> Recollection:
        """Recall nothing."""
        return Recollection()

    def begin(self, nonce_key: bytes, allocations: Iterable[Allocation]) -> None:
        """Do nothing."""

    def remember(self, allocation: Allocation) -> None:
        """Do nothing."""

    def forget(self, allocation: Allocation) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class NoKeeper:
    """Keeps no socket."""

    def take_inherited(self) -> list[tuple[str, socket.socket]]:
        """Take none."""
        return []

    def keep(self, sock: socket.socket) -> str | None:  # noqa: ARG002 - the protocol's signature
        """Keep none."""
        return None

    def let_go(self, name: str) -> None:
        """Do nothing."""
