"""Relay sockets between two owners, open and kept: the next owner need not open one.

To open a socket, have it kept and watched, and undo all that, costs more than the requests of a call.

    given back ─▶ rests, in order of age ─▶ drawn at random from the older half ─▶ the next owner's
                     └── too many rest: the oldest is closed, and its port goes back to the pool

For: RelaySockets (sockets.py). What arrives meanwhile is read and dropped: no allocation has the address.
Not for: which ports there are (ports.py).

None is drawn while few rest: so the next port is one of many, and none that was in use a moment ago.
"""

import os
from typing import Final, Generic, TypeVar

REST_ROOM: Final = 512  # sockets of one address; each takes a kilobyte or two of the kernel's memory

_RANDOM_BYTES = 4  # for a number; of up to 512 places, none is more than a ten-millionth likelier
_POOL_BYTES = 4096

SocketT = TypeVar("SocketT")


class RestingSockets(Generic[SocketT]):
    """The resting sockets of one address; where `room` is 0, none rests."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._resting: list[SocketT] = []
        self._random = b""

    def __len__(self) -> int:
        return len(self._resting)

    def draw(self, *, is_last_resort: bool = False) -> SocketT | None:
        """Take one out; `None` while few rest, or as the last resort if none does."""
        count = len(self._resting)
        if count == 0 or (count <= self._room // 2 and not is_last_resort):
            return None
        return self._resting.pop(self._draw_number() % -(-count // 2))

    def _draw_number(self) -> int:
        """Return a number that nobody can guess: by one system call for many."""
        if not self._random:
            self._random = os.urandom(_POOL_BYTES)
        drawn, self._random = self._random[:_RANDOM_BYTES], self._random[_RANDOM_BYTES:]
        return int.from_bytes(drawn)

    def take_in(self, sock: SocketT) -> SocketT | None:
        """Let a socket rest; return what there is no room for."""
        self._resting.append(sock)
        return self._resting.pop(0) if len(self._resting) > self._room else None

    def list_all(self) -> list[SocketT]:
        """List all, the oldest first."""
        return list(self._resting)

    def clear(self) -> None:
        """Forget all; whoever asks closes them."""
        self._resting.clear()
