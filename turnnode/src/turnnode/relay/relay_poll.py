"""Wait for all relay sockets of a family at once: data from peers, and errors from the network.

    relay sockets ─▶ our epoll ─▶ one descriptor that the event loop watches ─▶ all readers whose turn it is

For: the server (server.py).
Not for: listening sockets, which the event loop watches by itself.

A socket that collects errors shows them as an error state, and libuv stops watching a descriptor that does.
So the event loop never sees these sockets. To watch one more costs one system call, and no handle.
"""

import asyncio
import select
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from turnnode.relay.readers import Reader

MAX_READY: Final = 256  # sockets at a time
_READABLE: Final = select.EPOLLIN


class RelayPoll:
    """The relay sockets that are watched, each with its reader and what to call for errors.

    `read` is called with the readers of all that are readable. Neither it nor an error closes a socket: what
    peers send ends no allocation.
    """

    def __init__(self, read: Callable[[list[Reader]], None]) -> None:
        self._epoll = select.epoll()
        self._read = read
        self._readers: dict[int, tuple[Reader, Callable[[], None]]] = {}

    def start(self, stack: AsyncExitStack) -> None:
        """Watch until `stack` unwinds."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._epoll.fileno(), self._dispatch)
        stack.callback(self._epoll.close)
        stack.callback(self.stop)

    def stop(self) -> None:
        """Watch no more, at once."""
        if not self._epoll.closed:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())

    def add(self, sock: socket.socket, reader: Reader, read_errors: Callable[[], None]) -> None:
        """Watch a socket."""
        self._readers[sock.fileno()] = (reader, read_errors)
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def remove(self, sock: socket.socket) -> None:
        """Watch a socket no more; it may be one that is not watched."""
        if self._readers.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def _dispatch(self) -> None:
        readable, readers = [], self._readers
        for descriptor, events in self._epoll.poll(0, MAX_READY):
            reader, read_errors = readers[descriptor]
            if events == _READABLE:
                readable.append(reader)
                continue
            if events & select.EPOLLERR:
                read_errors()
            if events & _READABLE:
                readable.append(reader)
        if readable:
            self._read(readable)
