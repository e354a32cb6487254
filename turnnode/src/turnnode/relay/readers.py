"""What the event loop calls when a socket is readable: read, have it decided, send.

    datagrams read ─▶ on a known way? ▶ sent, those of one way together
                      else ▶ the machine decides; of data that it relays, the way is known from then on

For: the server (server.py).
Not for: decisions (machine.py, ways.py), nor for waiting (relay_poll.py).
"""

import ctypes
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from turnnode.relay.datagram_batch import MAX_DATAGRAM_BYTES, DatagramBatch
from turnnode.relay.dues import Dues
from turnnode.relay.machine import Send
from turnnode.relay.network_errors import NetworkError, read_errors
from turnnode.relay.sockets import DatagramOutlet
from turnnode.relay.tray import COPY_BYTES, Destination
from turnnode.relay.ways import KnownWays, Way, Ways
from turnnode.stun.attributes import Address
from turnnode.stun.channel_data import HEADER_BYTES, is_channel_data

_NUMBER_BYTES: Final = 2

Decide = Callable[[bytes, Address, float], Send | None]
Row = tuple[tuple[bytes, int], tuple[int, int]]
"""Of one place: key and what follows it, whether several datagrams lie there, and how much that is."""


@dataclass(frozen=True, slots=True)
class Lane:
    """How ways from one socket are found: those of clients by the number of a channel, too.

    `outlet` sends by the same socket, if whoever sent something there may be answered.
    """

    ways: Ways
    find: Callable[[bytes, Address], Way | None]
    is_from_clients: bool
    outlet: DatagramOutlet | None = None


class Reader:
    """Reads one socket: `read` is what to call when it is readable.

    What is due after grants is settled for all datagrams at once, and only then their answers go out, by one
    system call, each to where the kernel wrote the address of who has asked. `batch` may be shared with other
    readers. `joins`: the kernel may put datagrams of one sender together.
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
        joins: bool = False,
    ) -> None:
        batch.join_together(sock, joins=joins)
        self.family = sock.family
        self.descriptor = ctypes.c_int(sock.fileno())
        self._decide = decide
        self._clock = clock
        self._dues = dues
        self._batch = batch
        self._lane = lane
        self._layout = batch.layout_of(_NUMBER_BYTES if lane.is_from_clients else 0)
        self._known = KnownWays()
        self.by_key = self._known.by_key
        self._waiting: list[Send] = []
        self._answers: list[tuple[int, bytes]] = []  # and where in the batch the address is that each goes to

    @property
    def are_limited(self) -> bool:
        """Tell whether data needs to be admitted before it takes a way."""
        return self._lane.ways.are_limited

    def read(self) -> None:
        """Read what is there, up to a batch, and send whatever becomes of it."""
        batch = self._batch
        count = batch.receive(self.descriptor)
        rows = zip(batch.list_places(count, self._layout), batch.list_sizes(count), strict=True)
        self.take(rows, batch.address_bytes, self._clock())
        if self._dues.waiting:
            self._dues.settle()
        self.answer()

    def take(self, rows: Iterator[Row], start: int, now: float) -> None:
        """Send datagrams on that lie in the batch from `start` on; answers wait for `answer`."""
        for way in self._take(rows, start, now):
            way.flush()

    def answer(self) -> None:
        """Send the answers, and whatever else waited for what was due."""
        outlet = self._lane.outlet
        if self._answers and outlet is not None:
            answers, self._answers = self._answers, []
            tray, begin = outlet.tray, self._batch.pointer
            for start, data in answers:
                tray.put_copy(begin + start, data)
            tray.send()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for send in waiting:
                send.outlet.send(send.data, send.address)

    def _take(self, rows: Iterator[Row], start: int, now: float) -> list[Way]:
        """Put datagrams on their ways; return those on which some wait."""
        batch, ways, by_key = self._batch, self._lane.ways, self.by_key
        octets, stride = batch.octets, batch.place_bytes
        header_bytes = HEADER_BYTES if self._lane.is_from_clients else 0
        is_limited = ways.are_limited
        begun: list[Way] = []
        start -= stride
        for (key, length), (are_several, size) in rows:
            start += stride
            if are_several:
                self._take_several(start // stride, key, octets[start : start + size], now, begun)
                continue
            way = by_key.get(key)
            if size >= MAX_DATAGRAM_BYTES:
                continue
            if way is None or way.until <= now or (header_bytes and size != length + header_bytes):
                if way is not None:
                    way.flush()
                self._have_decided(start - batch.address_bytes, key, octets[start : start + size], now)
                continue
            if is_limited and not ways.admit(way, size - header_bytes, now):
                continue
            if way.add(octets[start + header_bytes : start + size]):
                begun.append(way)
        return begun

    def _take_several(self, place: int, key: bytes, datagrams: bytes, now: float, begun: list[Way]) -> None:
        """Put the datagrams of one place on their ways: at once, where they are of one channel."""
        size = self._batch.size_of_one(place)
        header_bytes = HEADER_BYTES if self._lane.is_from_clients else 0
        if not 0 < size < MAX_DATAGRAM_BYTES:
            return  # longer ones are dropped alone, too
        whole_bytes = len(datagrams) - len(datagrams) % size
        way = self.by_key.get(key)
        taken_bytes = 0
        if (
            way is not None
            and way.until > now
            and size > header_bytes
            and not self._lane.ways.are_limited
            and _begin_alike(datagrams[:whole_bytes], size, key[-_NUMBER_BYTES:], header_bytes)
        ):
            taken_bytes = whole_bytes
            starts = range(0, whole_bytes, size)
            if way.add_all([datagrams[start + header_bytes : start + size] for start in starts]):
                begun.append(way)
        for start in range(taken_bytes, len(datagrams), size):
            self._take_one(place, key, datagrams[start : start + size], now, begun)

    def _take_one(self, place: int, key: bytes, datagram: bytes, now: float, begun: list[Way]) -> None:
        """Put one of several datagrams of a sender on its way; `key` is that of the first one."""
        header_bytes = HEADER_BYTES if self._lane.is_from_clients else 0
        if header_bytes:
            key = key[:-_NUMBER_BYTES] + datagram[:_NUMBER_BYTES].ljust(_NUMBER_BYTES, b"\0")
        way = self.by_key.get(key)
        length = int.from_bytes(datagram[_NUMBER_BYTES:HEADER_BYTES])
        if way is None or way.until <= now or (header_bytes and len(datagram) != length + header_bytes):
            if way is not None:
                way.flush()
            self._have_decided(place * self._batch.place_bytes, key, datagram, now)
            return
        data = datagram[header_bytes:]
        if self._lane.ways.are_limited and not self._lane.ways.admit(way, len(data), now):
            return
        if way.add(data):
            begun.append(way)

    def _have_decided(self, start: int, key: bytes, datagram: bytes, now: float) -> None:
        """Let the machine decide, and learn from it; `start` is where in the batch the address lies."""
        address = self._batch.decode_address(key)
        send = self._decide(datagram, address, now)
        if send is None:
            return
        if send.outlet is self._lane.outlet and send.address is address and len(send.data) <= COPY_BYTES:
            self._answers.append((start, send.data))
            return
        if not self._lane.is_from_clients or is_channel_data(datagram):
            way = self._lane.find(datagram, address)
            if way is not None:
                if not self._lane.is_from_clients and isinstance(way.outlet, DatagramOutlet):
                    tray = way.outlet.tray
                    way.direct = tray, Destination(tray.family, way.address)
                self._known.keep(key, way)
        if self._dues.waiting:
            self._waiting.append(send)
        else:
            send.outlet.send(send.data, send.address)


def _begin_alike(datagrams: bytes, size: int, number: bytes, header_bytes: int) -> bool:
    """Tell whether all begin as ChannelData of one size and channel does; what peers send begins anyhow."""
    if not header_bytes:
        return True
    header = number + (size - header_bytes).to_bytes(2)
    count = len(datagrams) // size
    return all(datagrams[place::size] == header[place : place + 1] * count for place in range(header_bytes))


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
