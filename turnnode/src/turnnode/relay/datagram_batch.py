"""Receive many datagrams by one system call, each with its sender's address as the kernel wrote it.

    | sender's address, 16 or 28 octets | datagram … |                  64 such places in a row, of one family
    | sender's address, 16 or 28 octets | one │ one │ one │ less |      with UDP_GRO: of one sender, together

For: readers.py. A datagram costs a third of what recvfrom(2) costs, which makes a string of each address: a
look-up needs none. What the kernel has put together went through its stack only once.
Not for: sending, nor for what datagrams mean.

Source: recvmmsg(2), udp(7); `struct mmsghdr` has the same layout on every 64-bit machine.
"""

import ctypes
import mmap
import socket
from collections.abc import Iterator
from struct import Struct
from typing import Final

from turnnode.stun.attributes import Address

MAX_DATAGRAM_BYTES: Final = 4096  # calls stay below 1,500; what is as long is dropped
BATCH_DATAGRAMS: Final = 64  # as many are read at once, before others have their turn
MAX_TOGETHER_BYTES: Final = 65_536  # what the kernel puts together is one datagram of IP to it
# Not a round number: places that begin a multiple of 64 KiB from each other would share the same few lines of
# the processor's caches.
PLACE_BYTES: Final = MAX_TOGETHER_BYTES + 21 * 64
_UDP_GRO: Final = 104  # udp(7)
_LIBRARY: Final = ctypes.PyDLL(None)  # its calls never wait, so no other thread needs to run meanwhile

_HEADER: Final = Struct("@PI4xPNPNi4xI4x")
_HEADER_WORDS: Final = _HEADER.size // 8
_LENGTH_WORD: Final = 7  # recvmmsg(2) writes it
_HEADER_SIZES: Final = Struct("@40xN8xI4x")
_CONTROL: Final = Struct("@N4x4xi4x")
_VECTOR: Final = Struct("@PN")
_PORT: Final = Struct("!2xH")
_ADDRESS_BYTES: Final = {socket.AF_INET: 16, socket.AF_INET6: 28}
_HOSTS: Final = {socket.AF_INET: slice(4, 8), socket.AF_INET6: slice(8, 24)}


class DatagramBatch:
    """Room for the datagrams of one family that one call brings; the next call overwrites them.

    `octets` are all places; each has `place_bytes`, and begins with `address_bytes` of the address. `pointer`
    is where they lie.
    """

    def __init__(self, family: socket.AddressFamily, places: int = BATCH_DATAGRAMS) -> None:
        self._family = family
        self._host = _HOSTS[family]
        self.address_bytes: Final = _ADDRESS_BYTES[family]
        self.place_bytes: Final = PLACE_BYTES
        self.octets: Final = mmap.mmap(-1, places * self.place_bytes)
        self._view = memoryview(self.octets)
        self._controls = bytearray(places * _CONTROL.size)
        controls = ctypes.addressof(ctypes.c_char.from_buffer(self._controls))
        self._headers = bytearray(places * (_HEADER.size + _VECTOR.size))
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self.octets))
        headers = ctypes.addressof(ctypes.c_char.from_buffer(self._headers))
        for place in range(places):
            sender = begin + place * self.place_bytes
            vector = places * _HEADER.size + place * _VECTOR.size
            control = controls + place * _CONTROL.size
            header = sender, self.address_bytes, headers + vector, 1, control, _CONTROL.size, 0, 0
            _HEADER.pack_into(self._headers, place * _HEADER.size, *header)
            _VECTOR.pack_into(self._headers, vector, sender + self.address_bytes, MAX_TOGETHER_BYTES)
        words = memoryview(self._headers)[: places * _HEADER.size].cast("Q")
        self._lengths = words[_LENGTH_WORD::_HEADER_WORDS]
        self._fresh = bytes(self._headers[: places * _HEADER.size])
        # Converted once: to convert them costs as much as to receive a datagram.
        self._receive, self._receive_one = _LIBRARY["recvmmsg"], _LIBRARY["recvmsg"]
        self._flags, self._no_timeout = ctypes.c_int(socket.MSG_DONTWAIT), ctypes.c_void_p(None)
        self._places = [ctypes.c_void_p(headers + place * _HEADER.size) for place in range(places)]
        self._rooms = [ctypes.c_uint(room) for room in range(places + 1)]
        self.places: Final = places
        self.pointer: Final = begin

    def receive(self, descriptor: ctypes.c_int) -> int:
        """Receive what is there, and return how many datagrams that is.

        None, too, if an error was waiting: the event loop then finds the socket readable again.
        """
        self.empty()
        return self._receive_up_to(descriptor, 0, self.places)

    def empty(self) -> None:
        """Make room for other datagrams."""
        self._headers[: len(self._fresh)] = self._fresh  # the kernel has written into them

    def receive_more(self, descriptor: ctypes.c_int, place: int, room: int) -> int:
        """Receive from one more socket, into up to `room` places from one on; return how many datagrams.

        For one, by recvmsg(2): recvmmsg(2) costs a fifth more, and a third if it looks for a second one.
        """
        if room > 1:
            return self._receive_up_to(descriptor, place, room)
        size: int = self._receive_one(descriptor, self._places[place], self._flags)
        if size < 0:
            return 0
        self._lengths[place] = size
        return 1

    def list_sizes(self, count: int) -> Iterator[tuple[int, int]]:
        """List of the first ones whether they are several together, as a number, and how large they are."""
        return _HEADER_SIZES.iter_unpack(self._headers[: count * _HEADER.size])

    def size_of_one(self, place: int) -> int:
        """Tell how large each datagram at a place is that has several; the last may be smaller."""
        size: int = _CONTROL.unpack_from(self._controls, place * _CONTROL.size)[1]
        return size

    def list_places(self, count: int, layout: Struct) -> Iterator[tuple[bytes, int]]:
        """List what stands at the beginning of each, by a struct of `layout_of`."""
        return layout.iter_unpack(self._view[: count * self.place_bytes])

    def layout_of(self, key_bytes: int) -> Struct:
        """Return the struct of the address with so many octets of the datagram, and of the two after them.

        Of a shorter datagram, they are those of an earlier one.
        """
        start = self.address_bytes + key_bytes
        return Struct(f"!{start}sH{self.place_bytes - start - 2}x")

    def join_together(self, sock: socket.socket, *, joins: bool) -> None:
        """Have the kernel put together what a sender sends to a socket, or not (any more)."""
        sock.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, joins)

    def decode_address(self, key: bytes) -> Address:
        """Return the address that a key begins with."""
        return socket.inet_ntop(self._family, key[self._host]), _PORT.unpack_from(key)[0]

    def _receive_up_to(self, descriptor: ctypes.c_int, place: int, room: int) -> int:
        count: int = self._receive(
            descriptor, self._places[place], self._rooms[room], self._flags, self._no_timeout
        )
        return max(count, 0)
