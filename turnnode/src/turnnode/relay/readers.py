"""What the event loop calls when a socket is readable: read, have it decided, send.

For: the server (server.py).
Not for: decisions (machine.py), nor for waiting (relay_poll.py).

Reading straight from a socket that became readable, many datagrams at a time, costs less under uvloop than a
datagram transport (7 % of the whole packet when loaded), and needs the time only once.
"""

import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from turnnode.relay.dues import Dues
from turnnode.relay.machine import Send
from turnnode.relay.network_errors import NetworkError, read_errors
from turnnode.stun.attributes import Address

MAX_DATAGRAM_BYTES: Final = 4096  # calls stay below 1,500; what fills the buffer may be cut, and is dropped
BATCH_DATAGRAMS: Final = 64  # as many are read at once, before others have their turn

Decide = Callable[[bytes, Address, float], Send | None]


def build_reader(
    sock: socket.socket, decide: Decide, clock: Callable[[], float], dues: Dues
) -> Callable[[], None]:
    """Return what to call when `sock` is readable: it sends whatever `decide` makes of each datagram.

    What is due after grants is settled for all datagrams at once, and only then their answers go out.
    """
    due = dues.waiting
    read_batch = partial(_read_batch, sock.recvfrom, decide, due, sock.family == socket.AF_INET6)

    def read() -> None:
        waiting = read_batch(clock())
        if due:
            dues.settle()
        for outlet, data, address in waiting:
            outlet.send(data, address)

    return read


def build_error_reader(
    sock: socket.socket,
    decide: Callable[[NetworkError, float], Send | None],
    clock: Callable[[], float],
) -> Callable[[], None]:
    """Return what to call when `sock` has collected errors: it sends whatever `decide` makes of each."""

    def read() -> None:
        now = clock()
        for error in read_errors(sock):
            send = decide(error, now)
            if send is not None:
                send.outlet.send(send.data, send.address)

    return read


def _read_batch(
    receive_from: Callable[[int], tuple[bytes, Address]],
    decide: Decide,
    due: Mapping[Callable[[], None], None],
    has_long_addresses: bool,  # noqa: FBT001 - by `partial`, which gives it once
    now: float,
) -> list[Send]:
    """Read what is there, up to a batch; return the answers that must wait until all is settled."""
    waiting: list[Send] = []
    for _ in _PLACES:
        try:
            datagram, address = receive_from(MAX_DATAGRAM_BYTES)
        except BlockingIOError:
            break
        except OSError:  # that an ICMP error has come: the datagrams are still there
            continue
        if len(datagram) == MAX_DATAGRAM_BYTES:
            continue
        send = decide(datagram, address[:2] if has_long_addresses else address, now)
        if send is None:
            continue
        if due:
            waiting.append(send)
        else:
            outlet, data, to = send
            outlet.send(data, to)
    return waiting


_PLACES: Final = range(BATCH_DATAGRAMS)
