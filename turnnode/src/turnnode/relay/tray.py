"""Send many datagrams by one system call, each from where it lies in memory, to a client of its own.

    addresses, octets and sizes of many ─▶ sendmmsg(2)

For: what peers of many calls send at a time, one packet each (shared_reading.py): it leaves by one socket.
And for the answers to what many clients have asked at a time (readers.py).
Not for: many datagrams to one client, which UDP_SEGMENT sends for less (sockets.py).

Source: sendmmsg(2); `struct mmsghdr` has the same layout on every 64-bit machine.
"""

import ctypes
import socket
from array import array
from collections.abc import Sequence
from struct import Struct
from typing import Final

from turnnode.relay.counters import RelayCounters
from turnnode.stun.attributes import Address

PLACES: Final = 64

_HEADER: Final = Struct("@PI4xPNPNi4xI4x")
_HEADER_WORDS: Final = _HEADER.size // 8
_IPV4: Final = Struct("=H2s4s8x")
_IPV6: Final = Struct("=H2s4x16s4x")
_LIBRARY: Final = ctypes.PyDLL(None)  # its calls never wait, so no other thread needs to run meanwhile


class Destination:
    """An address as the kernel reads it; `pointer` is where it is, for as long as this object is."""

    __slots__ = ("_octets", "pointer")

    def __init__(self, family: int, address: Address) -> None:
        host = socket.inet_pton(family, address[0])
        packed = (_IPV6 if family == socket.AF_INET6 else _IPV4).pack(family, address[1].to_bytes(2), host)
        self._octets = ctypes.create_string_buffer(packed, len(packed))
        self.pointer = ctypes.addressof(self._octets)


Lying = tuple[int, int, int]
"""A datagram in memory: where the address lies that it goes to, where its octets lie, and how many."""


class Tray:
    """The way out by one socket."""

    def __init__(self, sock: socket.socket, counters: RelayCounters) -> None:
        self.family: Final = sock.family
        self._counters = counters
        self._descriptor = ctypes.c_int(sock.fileno())
        address_bytes = (_IPV6 if sock.family == socket.AF_INET6 else _IPV4).size
        headers = memoryview(bytearray(PLACES * _HEADER.size))
        self._vectors = memoryview(bytearray(PLACES * 16)).cast("Q")
        begin = ctypes.addressof(ctypes.c_char.from_buffer(headers))
        vectors = ctypes.addressof(ctypes.c_char.from_buffer(self._vectors))
        for place in range(PLACES):
            header = 0, address_bytes, vectors + 16 * place, 1, 0, 0, 0, 0
            _HEADER.pack_into(headers, place * _HEADER.size, *header)
        self._headers = headers.cast("Q")
        # Converted once: to convert them costs as much as to send a datagram.
        self._send = _LIBRARY["sendmmsg"]
        self._places = [ctypes.c_void_p(begin + place * _HEADER.size) for place in range(PLACES)]
        self._counts = [ctypes.c_uint(count) for count in range(PLACES + 1)]
        self._flags = ctypes.c_int(socket.MSG_DONTWAIT)

    def send(self, datagrams: Sequence[Lying]) -> None:
        """Send all, or lose some: the one that the system does not take, and not those after it."""
        for start in range(0, len(datagrams), PLACES):
            chunk = datagrams[start : start + PLACES]
            count = len(chunk)
            addresses, pointers, sizes = (memoryview(array("Q", words)) for words in zip(*chunk, strict=True))
            self._headers[: count * _HEADER_WORDS : _HEADER_WORDS] = addresses
            self._vectors[: 2 * count : 2] = pointers
            self._vectors[1 : 2 * count : 2] = sizes
            self._send_first(count)

    def send_copies(self, datagrams: Sequence[tuple[int, bytes]]) -> None:
        """Send datagrams, each to the address that lies there."""
        octets = bytearray().join([data for _, data in datagrams])
        octets.append(0)  # to an empty buffer, there is no pointer
        pointer = ctypes.addressof(ctypes.c_char.from_buffer(octets))
        lying: list[Lying] = []
        for address, data in datagrams:
            lying.append((address, pointer, len(data)))
            pointer += len(data)
        self.send(lying)

    def _send_first(self, count: int) -> None:
        """Send what lies in the first places."""
        first = 0
        while first < count:
            sent = self._send(self._descriptor, self._places[first], self._counts[count - first], self._flags)
            if sent < 1:
                self._counters.dropped_unsent += 1
                sent = 1
            first += sent
