"""Read many relay sockets that are readable at once, and send on what came, by few system calls.

    each socket: recvmmsg(2) into the next places ─▶ all places: which way? ─▶ one datagram of a socket: tray
                                                                          └─▶ several: the reader, as ever

For: many calls at a time, of each of which there is one packet. To hand each socket to its reader alone costs
twice as much.
Not for: listening sockets, to which all packets of clients come.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from turnnode.relay.datagram_batch import MAX_DATAGRAM_BYTES, DatagramBatch
from turnnode.relay.dues import Dues
from turnnode.relay.readers import Reader
from turnnode.relay.tray import Tray
from turnnode.stun.channel_data import HEADER_BYTES


class SharedReading:
    """Reads relay sockets of one family into one batch."""

    def __init__(self, batch: DatagramBatch, *, clock: Callable[[], float], dues: Dues) -> None:
        self._batch = batch
        self._clock = clock
        self._dues = dues
        self._layout = batch.layout_of(0)

    def read(self, readers: Iterable[Reader]) -> None:
        """Read what is there, up to as many datagrams of each as there is room for, and send it on."""
        batch = self._batch
        batch.empty()
        filled: list[tuple[Reader, int]] = []
        place = 0
        for reader in readers:
            count = batch.receive_more(reader.descriptor, place)
            if not count:
                continue
            filled.append((reader, count))
            place += count
            if place == batch.places:
                self._send_on(filled, place)
                batch.empty()
                filled.clear()
                place = 0
        if filled:
            self._send_on(filled, place)

    def _send_on(self, filled: list[tuple[Reader, int]], places: int) -> None:
        batch, now = self._batch, self._clock()
        stride, start = batch.place_bytes, batch.address_bytes
        rows = zip(batch.list_places(places, self._layout), batch.list_sizes(places), strict=True)
        trays: dict[Tray, None] = {}
        for reader, count in filled:
            if count == 1:
                self._send_one(reader, rows, start, now, trays)
            else:
                reader.take(islice(rows, count), start, now)
            start += count * stride
        for tray in trays:
            tray.send()
        if self._dues.waiting:
            self._dues.settle()
        for reader, _ in filled:
            reader.answer()

    def _send_one(
        self,
        reader: Reader,
        rows: Iterator[tuple[tuple[bytes, int], tuple[int, int]]],
        start: int,
        now: float,
        trays: dict[Tray, None],
    ) -> None:
        """Send on the only datagram of a socket: from where it lies, if it goes a known way."""
        row = next(rows)
        (key, _), (are_several, size) = row
        way = reader.by_key.get(key)
        direct = None if way is None else way.direct
        if (
            way is None
            or direct is None
            or way.until <= now
            or are_several
            or size >= MAX_DATAGRAM_BYTES
            or reader.are_limited
        ):
            reader.take(iter((row,)), start, now)
            return
        batch, (tray, destination) = self._batch, direct
        begin = start - HEADER_BYTES  # over the end of the sender's address, which was looked up already
        batch.octets[begin:start] = way.header + size.to_bytes(2)
        trays[tray] = None
        tray.put(destination, batch.pointer + begin, size + HEADER_BYTES)
        way.count_one(size)
