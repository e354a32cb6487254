"""What the event loop calls when a socket is readable: read, have it decided, send.

    datagrams read ─▶ on a known way? ▶ sent, those of one way together
                      else ▶ the machine decides; of data that it relays, the way is known from then on

For: the server (server.py).
Not for: decisions (machine.py, ways.py), nor for waiting (relay_poll.py).
"""

import ctypes
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from turnnode.relay.datagram_batch import MAX_DATAGRAM_BYTES, DatagramBatch
from turnnode.relay.dues import Dues
from turnnode.relay.machine import Send
from turnnode.relay.network_errors import NetworkError, read_errors
from turnnode.relay.sockets import DatagramOutlet
from turnnode.relay.tray import Destination
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
        self.descriptor = ctypes.c_int(sock.fileno())
        self._decide = decide
        self._clock = clock
        self._dues = dues
        self._batch = batch
        self._lane = lane
        self._layout = batch.layout_of(_NUMBER_BYTES if lane.is_from_clients else 0)
        self._known = KnownWays()
        self.by_key = self._known.by_key
        self._header_bytes = HEADER_BYTES if lane.is_from_clients else 0
        self._waiting: dict[Way, list[bytes]] = {}
        self._after_dues: list[Send] = []
        self._answers: list[tuple[int, bytes]] = []  # and where the address lies that each goes to

    def read(self) -> None:
        """Read what is there, up to a batch, and send whatever becomes of it."""
        batch = self._batch
        count = batch.receive(self.descriptor)
        rows = zip(batch.list_places(count, self._layout), batch.list_sizes(count), strict=True)
        self.take(rows, batch.address_bytes, self._clock())
        if self._dues.waiting:
            self._dues.settle()
        self.answer()

    def take(self, rows: Iterable[Row], start: int, now: float) -> None:
        """Send datagrams on that lie in the batch from `start` on; answers wait for `answer`.

        What waits on its way is sent before the machine decides anything: that may end the way.
        """
        batch, ways, by_key, waiting = self._batch, self._lane.ways, self.by_key, self._waiting
        octets, stride, is_limited = batch.octets, batch.place_bytes, ways.are_limited
        header_bytes = self._header_bytes
        start -= stride
        for (key, length), (are_several, size) in rows:
            start += stride
            if are_several:
                self._take_several(start, key, octets[start : start + size], now)
                continue
            if size >= MAX_DATAGRAM_BYTES:
                continue
            way = by_key.get(key)
            if way is None or way.until <= now or (header_bytes and size != length + header_bytes):
                self._have_decided(start - batch.address_bytes, key, octets[start : start + size], now)
                continue
            if is_limited and not ways.admit(way, size - header_bytes, now):
                continue
            others = waiting.get(way)
            if others is None:
                waiting[way] = [octets[start + header_bytes : start + size]]
            else:
                others.append(octets[start + header_bytes : start + size])
        if waiting:
            self._send_waiting()

    def answer(self) -> None:
        """Send the answers, and whatever else waited for what was due."""
        outlet = self._lane.outlet
        if self._answers and outlet is not None:
            answers, self._answers = self._answers, []
            outlet.tray.send_copies(answers)
        if self._after_dues:
            sends, self._after_dues = self._after_dues, []
            for send in sends:
                send.outlet.send(send.data, send.address)

    def _send_waiting(self) -> None:
        self._lane.ways.send(self._waiting)
        self._waiting.clear()

    def _take_several(self, start: int, key: bytes, datagrams: bytes, now: float) -> None:
        """Put the datagrams of one place on their ways: at once, where they are of one channel."""
        place = start // self._batch.place_bytes
        size = self._batch.size_of_one(place)
        header_bytes = self._header_bytes
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
            datas = [datagrams[start + header_bytes : start + size] for start in starts]
            self._waiting.setdefault(way, []).extend(datas)
        for begin in range(taken_bytes, len(datagrams), size):
            self._take_one(place, key, datagrams[begin : begin + size], now)

    def _take_one(self, place: int, key: bytes, datagram: bytes, now: float) -> None:
        """Put one of several datagrams of a sender on its way; `key` is that of the first one."""
        header_bytes = self._header_bytes
        if header_bytes:
            key = key[:-_NUMBER_BYTES] + datagram[:_NUMBER_BYTES].ljust(_NUMBER_BYTES, b"\0")
        way = self.by_key.get(key)
        length = int.from_bytes(datagram[_NUMBER_BYTES:HEADER_BYTES])
        if way is None or way.until <= now or (header_bytes and len(datagram) != length + header_bytes):
            self._have_decided(place * self._batch.place_bytes, key, datagram, now)
            return
        data = datagram[header_bytes:]
        if self._lane.ways.are_limited and not self._lane.ways.admit(way, len(data), now):
            return
        self._waiting.setdefault(way, []).append(data)

    def _have_decided(self, start: int, key: bytes, datagram: bytes, now: float) -> None:
        """Let the machine decide, and learn from it; `start` is where in the batch the address lies."""
        if self._waiting:
            self._send_waiting()
        address = self._batch.decode_address(key)
        send = self._decide(datagram, address, now)
        if send is None:
            return
        if send.outlet is self._lane.outlet and send.address is address:
            self._answers.append((self._batch.pointer + start, send.data))
            return
        if not self._lane.is_from_clients or is_channel_data(datagram):
            way = self._lane.find(datagram, address)
            if way is not None:
                _shorten(way)
                self._known.keep(key, way)
        if self._dues.waiting:
            self._after_dues.append(send)
        else:
            send.outlet.send(send.data, send.address)


def _shorten(way: Way) -> None:
    """Tell a way how one datagram is sent by system calls alone, if its outlet is a socket."""
    if not isinstance(way.outlet, DatagramOutlet):
        return
    if way.header:
        tray = way.outlet.tray
        way.direct = tray, Destination(tray.family, way.address)
    else:
        way.sendto = way.outlet.sendto


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
