"""Read many relay sockets that are readable at once, and send on what came, by few system calls.

    each socket: recvmsg(2), or recvmmsg(2) where few are readable ─▶ which way?
                                one datagram of a socket, on a known way ─▶ tray
                                several, or unknown ─▶ the reader

For: many calls at a time, of each of which there is one packet. To hand each socket to its reader alone costs
twice as much.
Not for: listening sockets, to which all packets of clients come.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice
from struct import Struct
from typing import Final

from turnnode.relay.datagram_batch import MAX_DATAGRAM_BYTES, DatagramBatch
from turnnode.relay.dues import Dues
from turnnode.relay.readers import Reader
from turnnode.relay.tray import Lying, Tray
from turnnode.relay.ways import Way, Ways
from turnnode.stun.channel_data import HEADER_BYTES

_CHANNEL_HEADER: Final = Struct("!2sH")


class SharedReading:
    """Reads relay sockets of one family into one batch."""

    def __init__(self, batch: DatagramBatch, ways: Ways, *, clock: Callable[[], float], dues: Dues) -> None:
        self._batch = batch
        self._ways = ways
        self._clock = clock
        self._dues = dues
        self._layout = batch.layout_of(0)

    def read(self, readers: Sequence[Reader]) -> None:
        """Read of each what is there, up to its share of the places, and send it on."""
        batch = self._batch
        places, room = batch.places, max(1, batch.places // len(readers))
        receive = batch.receive_more
        batch.empty()
        filled: list[tuple[Reader, int]] = []
        place = 0
        for reader in readers:
            if place + room > places:
                self._send_on(filled, place)
                batch.empty()
                filled.clear()
                place = 0
            count = receive(reader.descriptor, place, room)
            if count:
                filled.append((reader, count))
                place += count
        if filled:
            self._send_on(filled, place)

    def _send_on(self, filled: list[tuple[Reader, int]], places: int) -> None:
        batch, now = self._batch, self._clock()
        stride, start = batch.place_bytes, batch.address_bytes
        octets, pointer, write_header = batch.octets, batch.pointer - HEADER_BYTES, _CHANNEL_HEADER.pack_into
        is_limited = self._ways.are_limited
        leaving: defaultdict[Tray, list[Lying]] = defaultdict(list)
        sent: list[tuple[Way, int, int]] = []
        others: list[Reader] = []
        rows = zip(batch.list_places(places, self._layout), batch.list_sizes(places), strict=True)
        for reader, count in filled:
            if count > 1:
                reader.take(islice(rows, count), start, now)
                others.append(reader)
                start += count * stride
                continue
            row = next(rows)
            (key, _), (are_several, size) = row
            way = reader.by_key.get(key)
            if (
                way is not None
                and way.direct is not None
                and way.until > now
                and not are_several
                and size < MAX_DATAGRAM_BYTES
                and not is_limited
            ):
                tray, destination = way.direct
                # Over the end of the sender's address, which was looked up already.
                write_header(octets, start - HEADER_BYTES, way.header, size)
                leaving[tray].append((destination.pointer, pointer + start, size + HEADER_BYTES))
                sent.append((way, 1, size))
            else:
                reader.take((row,), start, now)
                others.append(reader)
            start += stride
        for tray, datagrams in leaving.items():
            tray.send(datagrams)
        self._ways.count(sent)
        if self._dues.waiting:
            self._dues.settle()
        for reader in others:
            reader.answer()
