"""Receive many datagrams by one system call, each with its sender's address as the kernel wrote it.

    | sender's address, 16 or 28 octets | datagram … |     64 such places in a row, of one family

For: readers.py. A datagram costs a third of what recvfrom(2) costs, which makes a string of each address: a
look-up needs none.
Not for: sending, nor for what datagrams mean.

Source: recvmmsg(2); `struct mmsghdr` has the same layout on every 64-bit machine.
"""

import ctypes
import mmap
import socket
from collections.abc import Iterator
from struct import Struct
from typing import Final

from turnnode.stun.attributes import Address

MAX_DATAGRAM_BYTES: Final = 4096  # calls stay below 1,500; what fills the buffer may be cut, and is dropped
BATCH_DATAGRAMS: Final = 64  # as many are read at once, before others have their turn

_HEADER: Final = Struct("@PI4xPNPNi4xI4x")
_HEADER_SIZE: Final = Struct("@56xI4x")
_VECTOR: Final = Struct("@PN")
_PORT: Final = Struct("!2xH")
_ADDRESS_BYTES: Final = {socket.AF_INET: 16, socket.AF_INET6: 28}
_HOSTS: Final = {socket.AF_INET: slice(4, 8), socket.AF_INET6: slice(8, 24)}


class DatagramBatch:
    """Room for the datagrams of one family that one call brings; the next call overwrites them.

    `octets` are all places; each has `place_bytes`, and begins with `address_bytes` of the address.
    """

    def __init__(self, family: socket.AddressFamily, places: int = BATCH_DATAGRAMS) -> None:
        self._family = family
        self._host = _HOSTS[family]
        self.address_bytes: Final = _ADDRESS_BYTES[family]
        self.place_bytes: Final = self.address_bytes + MAX_DATAGRAM_BYTES
        self.octets: Final = mmap.mmap(-1, places * self.place_bytes)
        self._view = memoryview(self.octets)
        self._headers = bytearray(places * (_HEADER.size + _VECTOR.size))
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self.octets))
        headers = ctypes.addressof(ctypes.c_char.from_buffer(self._headers))
        for place in range(places):
            sender = begin + place * self.place_bytes
            vector = places * _HEADER.size + place * _VECTOR.size
            header = sender, self.address_bytes, headers + vector, 1, 0, 0, 0, 0
            _HEADER.pack_into(self._headers, place * _HEADER.size, *header)
            _VECTOR.pack_into(self._headers, vector, sender + self.address_bytes, MAX_DATAGRAM_BYTES)
        # Converted once: to convert them costs as much as to receive a datagram.
        self._receive = ctypes.CDLL(None)["recvmmsg"]
        self._arguments = (
            ctypes.c_void_p(headers),
            ctypes.c_uint(places),
            ctypes.c_int(socket.MSG_DONTWAIT),
            ctypes.c_void_p(None),
        )

    def receive(self, descriptor: ctypes.c_int) -> int:
        """Receive what is there, and return how many datagrams that is.

        None, too, if an error was waiting: the event loop then finds the socket readable again.
        """
        count: int = self._receive(descriptor, *self._arguments)
        return max(0, count)

    def list_sizes(self, count: int) -> Iterator[tuple[int]]:
        """List how large each of the first ones is; `MAX_DATAGRAM_BYTES` may be cut."""
        return _HEADER_SIZE.iter_unpack(self._headers[: count * _HEADER.size])

    def list_places(self, count: int, layout: Struct) -> Iterator[tuple[bytes, int]]:
        """List what stands at the beginning of each, by a struct of `layout_of`."""
        return layout.iter_unpack(self._view[: count * self.place_bytes])

    def layout_of(self, key_bytes: int) -> Struct:
        """Return the struct of the address with so many octets of the datagram, and of the two after them.

        Of a shorter datagram, they are those of an earlier one.
        """
        start = self.address_bytes + key_bytes
        return Struct(f"!{start}sH{self.place_bytes - start - 2}x")

    def decode_address(self, key: bytes) -> Address:
        """Return the address that a key begins with."""
        return socket.inet_ntop(self._family, key[self._host]), _PORT.unpack_from(key)[0]
