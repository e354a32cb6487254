"""What the event loop calls when a socket is readable: read, have it decided, send.

    datagrams read ─▶ on a known way? ▶ sent, those of one way together
                      else ▶ the machine decides; of data that it relays, the way is known from then on

For: the server (server.py).
Not for: decisions (machine.py, ways.py), nor for waiting (relay_poll.py).
"""

import ctypes
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from turnnode.relay.datagram_batch import MAX_DATAGRAM_BYTES, DatagramBatch
from turnnode.relay.dues import Dues
from turnnode.relay.machine import Send
from turnnode.relay.network_errors import NetworkError, read_errors
from turnnode.relay.ways import KnownWays, Way, Ways
from turnnode.stun.attributes import Address
from turnnode.stun.channel_data import HEADER_BYTES

_NUMBER_BYTES: Final = 2

Decide = Callable[[bytes, Address, float], Send | None]


@dataclass(frozen=True, slots=True)
class Lane:
    """How ways from one socket are found: those of clients by the number of a channel, too."""

    ways: Ways
    find: Callable[[bytes, Address], Way | None]
    is_from_clients: bool


class Reader:
    """Reads one socket: `read` is what to call when it is readable.

    What is due after grants is settled for all datagrams at once, and only then their answers go out. `batch`
    may be shared with other readers.
    """

    def __init__(  # noqa: PLR0913 - each is another part
        self,
        sock: socket.socket,
        decide: Decide,
        *,
        clock: Callable[[], float],
        dues: Dues,
        batch: DatagramBatch,
        lane: Lane,
    ) -> None:
        self._descriptor = ctypes.c_int(sock.fileno())
        self._decide = decide
        self._clock = clock
        self._dues = dues
        self._batch = batch
        self._lane = lane
        self._layout = batch.layout_of(_NUMBER_BYTES if lane.is_from_clients else 0)
        self._known = KnownWays()
        self._waiting: list[Send] = []

    def read(self) -> None:
        """Read what is there, up to a batch, and send whatever becomes of it."""
        count = self._batch.receive(self._descriptor)
        for way in self._take(count, self._clock()):
            way.flush()
        if self._dues.waiting:
            self._dues.settle()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for send in waiting:
                send.outlet.send(send.data, send.address)

    def _take(self, count: int, now: float) -> list[Way]:
        """Put datagrams on their ways; return those on which some wait."""
        batch, ways, by_key = self._batch, self._lane.ways, self._known.by_key
        octets, stride = batch.octets, batch.place_bytes
        header_bytes = HEADER_BYTES if self._lane.is_from_clients else 0
        is_limited = ways.are_limited
        begun: list[Way] = []
        start = batch.address_bytes - stride
        for (key, length), (size,) in zip(
            batch.list_places(count, self._layout), batch.list_sizes(count), strict=True
        ):
            start += stride
            way = by_key.get(key)
            if size >= MAX_DATAGRAM_BYTES:
                continue
            if way is None or way.until <= now or (header_bytes and size != length + header_bytes):
                if way is not None:
                    way.flush()
                self._have_decided(key, octets[start : start + size], now)
                continue
            if is_limited and not ways.admit(way, size - header_bytes, now):
                continue
            if way.add(octets[start + header_bytes : start + size]):
                begun.append(way)
        return begun

    def _have_decided(self, key: bytes, datagram: bytes, now: float) -> None:
        """Let the machine decide, and learn from it."""
        address = self._batch.decode_address(key)
        send = self._decide(datagram, address, now)
        if send is None:
            return
        way = self._lane.find(datagram, address)
        if way is not None:
            self._known.keep(key, way)
        if self._dues.waiting:
            self._waiting.append(send)
        else:
            send.outlet.send(send.data, send.address)


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
