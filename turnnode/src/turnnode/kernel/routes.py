"""Ask the kernel about interfaces, routes and neighbours, and hear of changes.

For: questions that the kernel answers at once, out of its memory; some ten microseconds each.
Not for: what follows from the answers (hops.py).

A library such as pyroute2 takes a hundred times as long for a question; there are two for each call.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from turnnode.kernel.route_messages import (
    Group,
    Interface,
    Kind,
    Message,
    Neighbour,
    Route,
    ask_for_dump,
    ask_for_route,
    error_of,
    number_request,
    read_address,
    read_interface,
    read_neighbour,
    read_route,
    split_messages,
    use_neighbour,
)

_BUFFER_BYTES: Final = 1 << 18
_CHANGES: Final = (
    Group.LINK
    | Group.NEIGHBOUR
    | Group.IPV4_ADDRESS
    | Group.IPV4_ROUTE
    | Group.IPV6_ADDRESS
    | Group.IPV6_ROUTE
)
_ANSWER_SECONDS: Final = 5


class RouteSocket:
    """A conversation with the kernel, and a second socket on which it tells of changes. Raises: OSError."""

    def __init__(self, stack: ExitStack) -> None:
        self._asking = stack.enter_context(_open(0))
        self._asking.settimeout(_ANSWER_SECONDS)
        self._sequence = 0
        self.changes = stack.enter_context(_open(_CHANGES))
        self.changes.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name

    def list_interfaces(self) -> list[Interface]:
        """List all interfaces. Raises: OSError."""
        answers = self._dump(Kind.GET_LINK, bytes(16))
        return [interface for message in answers if (interface := read_interface(message)) is not None]

    def list_addresses(self) -> list[tuple[int, str]]:
        """List all addresses, each with the number of its interface. Raises: OSError."""
        answers = self._dump(Kind.GET_ADDRESS, bytes(8))
        return [address for message in answers if (address := read_address(message)) is not None]

    def list_neighbours(self) -> list[Neighbour]:
        """List all neighbours. Raises: OSError."""
        answers = self._dump(Kind.GET_NEIGHBOUR, bytes(12))
        return [neighbour for message in answers if (neighbour := read_neighbour(message)) is not None]

    def find_route(self, source: str, destination: str) -> Route | None:
        """Tell how a host is reached; `None` if it is not, or not through a network. Raises: OSError."""
        return read_route(next(self._ask(ask_for_route(source, destination))))

    def use_neighbour(self, interface: int, host: str) -> None:
        """Have the kernel look whether a neighbour is still there. Raises: OSError."""
        self._send(use_neighbour(interface, host))

    def read_changes(self) -> list[Message] | None:
        """Return what has changed; `None` if that was more than the kernel could keep for us."""
        found: list[Message] = []
        while True:
            try:
                found += split_messages(self.changes.recv(_BUFFER_BYTES))
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                return None

    def _dump(self, kind: Kind, body: bytes) -> Iterator[Message]:
        for message in self._ask(ask_for_dump(kind, body)):
            if message.kind == Kind.DONE:
                return
            if message.kind == Kind.ERROR:
                code = error_of(message)
                raise OSError(code, os.strerror(code))
            yield message

    def _ask(self, request: bytes) -> Iterator[Message]:
        """Send a question and yield its answers; complaints about earlier requests are none."""
        sequence = self._send(request)
        while True:
            for message in split_messages(self._asking.recv(_BUFFER_BYTES)):
                if message.sequence == sequence:
                    yield message

    def _send(self, request: bytes) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFF_FFFF
        self._asking.send(number_request(request, self._sequence))
        return self._sequence


def _open(groups: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    opened.bind((0, groups))
    return opened
