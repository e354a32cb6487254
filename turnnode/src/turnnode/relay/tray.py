"""Send many datagrams by one system call, each from where it lies in memory, to a client of its own.

    put, put, put … ─▶ full, or nothing more to put ─▶ sendmmsg(2)

For: what peers of many calls send at a time, one packet each (shared_reading.py): it leaves by one socket.
And for the answers to what many clients have asked at a time (readers.py).
Not for: many datagrams to one client, which UDP_SEGMENT sends for less (sockets.py).

Source: sendmmsg(2); `struct mmsghdr` has the same layout on every 64-bit machine.
"""

import ctypes
import socket
from struct import Struct
from typing import Final

from turnnode.relay.counters import RelayCounters
from turnnode.stun.attributes import Address

PLACES: Final = 64
COPY_BYTES: Final = 512  # what is longer than that is not copied

_HEADER: Final = Struct("@PI4xPNPNi4xI4x")
_HEADER_WORDS: Final = _HEADER.size // 8
_IPV4: Final = Struct("=H2s4s8x")
_IPV6: Final = Struct("=H2s4x16s4x")


class Destination:
    """An address as the kernel reads it; `pointer` is where it is, for as long as this object is."""

    __slots__ = ("_octets", "pointer")

    def __init__(self, family: int, address: Address) -> None:
        host = socket.inet_pton(family, address[0])
        packed = (_IPV6 if family == socket.AF_INET6 else _IPV4).pack(family, address[1].to_bytes(2), host)
        self._octets = ctypes.create_string_buffer(packed, len(packed))
        self.pointer = ctypes.addressof(self._octets)


class Tray:
    """What one socket sends next. Octets and addresses that are pointed to must stay there until `send`."""

    def __init__(self, sock: socket.socket, counters: RelayCounters) -> None:
        self.family: Final = sock.family
        self.count = 0
        self._counters = counters
        self._descriptor = ctypes.c_int(sock.fileno())
        address_bytes = (_IPV6 if sock.family == socket.AF_INET6 else _IPV4).size
        self._headers = memoryview(bytearray(PLACES * _HEADER.size)).cast("Q")
        self._vectors = memoryview(bytearray(PLACES * 16)).cast("Q")
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self._headers))
        vectors = ctypes.addressof(ctypes.c_char.from_buffer(self._vectors))
        headers = self._headers.cast("B")
        for place in range(PLACES):
            header = 0, address_bytes, vectors + 16 * place, 1, 0, 0, 0, 0
            _HEADER.pack_into(headers, place * _HEADER.size, *header)
        self._copies = memoryview(bytearray(PLACES * COPY_BYTES))
        self._copies_begin = ctypes.addressof(ctypes.c_char.from_buffer(self._copies))
        # Converted once: to convert them costs as much as to send a datagram.
        self._send = ctypes.CDLL(None)["sendmmsg"]
        self._places = [ctypes.c_void_p(begin + place * _HEADER.size) for place in range(PLACES)]
        self._counts = [ctypes.c_uint(count) for count in range(PLACES + 1)]
        self._flags = ctypes.c_int(socket.MSG_DONTWAIT)

    def put_copy(self, address: int, data: bytes) -> None:
        """Have up to `COPY_BYTES` octets sent, which need not stay, to the address that lies at `address`.

        Raises:
            ValueError: There are more.
        """
        size_bytes = len(data)
        if size_bytes > COPY_BYTES:
            raise ValueError(f"a datagram that is longer than {COPY_BYTES} octets is not copied")
        start = self.count * COPY_BYTES
        self._copies[start : start + size_bytes] = data
        self._put(address, self._copies_begin + start, size_bytes)

    def put(self, destination: Destination, pointer: int, size_bytes: int) -> None:
        """Have octets that lie at `pointer` sent; at once, if the tray is full now."""
        self._put(destination.pointer, pointer, size_bytes)

    def _put(self, address: int, pointer: int, size_bytes: int) -> None:
        place = self.count
        self._headers[place * _HEADER_WORDS] = address
        self._vectors[2 * place] = pointer
        self._vectors[2 * place + 1] = size_bytes
        self.count = place + 1
        if place + 1 == PLACES:
            self.send()

    def send(self) -> None:
        """Send all, or lose some: the one that the system does not take, and not those after it."""
        first, count = 0, self.count
        while first < count:
            sent = self._send(self._descriptor, self._places[first], self._counts[count - first], self._flags)
            if sent < 1:
                self._counters.dropped_unsent += 1
                sent = 1
            first += sent
        self.count = 0
