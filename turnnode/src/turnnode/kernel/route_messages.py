"""Messages of rtnetlink: interfaces, their addresses, routes and neighbours.

For: pure functions from and to bytes.
Not for: sockets (routes.py).

Source: rtnetlink(7); include/uapi/linux/{netlink,rtnetlink,if_link,if_addr,neighbour}.h.
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

_HEADER: Final = struct.Struct("=IHHII")
_REQUEST, _DUMP, _CREATE = 0x1, 0x300, 0x400
_USE = 0x01  # NTF_USE: treat the neighbour as if a packet had gone there
_DEAD_NEIGHBOUR = 0x01 | 0x20  # incomplete, failed
_UNICAST = 1
_NESTED_MTU = 2
_8021Q: Final = b"\x81\x00"


class Kind(IntEnum):
    """Kinds of messages."""

    ERROR = 2
    DONE = 3
    NEW_LINK = 16
    DELETED_LINK = 17
    GET_LINK = 18
    NEW_ADDRESS = 20
    DELETED_ADDRESS = 21
    GET_ADDRESS = 22
    NEW_ROUTE = 24
    DELETED_ROUTE = 25
    GET_ROUTE = 26
    NEW_NEIGHBOUR = 28
    DELETED_NEIGHBOUR = 29
    GET_NEIGHBOUR = 30


class Group(IntFlag):
    """What the kernel tells by itself."""

    LINK = 0x1
    NEIGHBOUR = 0x4
    IPV4_ADDRESS = 0x10
    IPV4_ROUTE = 0x40
    IPV6_ADDRESS = 0x100
    IPV6_ROUTE = 0x400


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its kind, which question it answers, and what follows its header."""

    kind: int
    sequence: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface; `hardware` is the ARPHRD_ number, 1 for Ethernet, and `kind` a virtual one's.

    Of a VLAN (IEEE 802.1Q), `parent` is the number of the interface that carries it, and `tag` its own.
    """

    number: int
    name: str
    hardware: int
    address: bytes
    mtu: int
    kind: str
    parent: int = 0
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """How a host is reached: through which interface and gateway, and with which MTU if the route has one."""

    interface: int
    gateway: str | None
    mtu: int | None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A host on a link; `address` is `None` while nobody knows where it is."""

    interface: int
    host: str
    address: bytes | None


def number_request(request: bytes, sequence: int) -> bytes:
    """Give a request the number by which its answer is known."""
    return request[:8] + struct.pack("=I", sequence) + request[12:]


def ask_for_dump(kind: Kind, body: bytes) -> bytes:
    """Ask for all of something; the body says of which family."""
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _DUMP, 0, 0) + body


def ask_for_route(source: str, destination: str) -> bytes:
    """Ask how a host is reached from an address of ours."""
    family, packed = _pack(destination)
    body = struct.pack("=BBBBBBBBI", family, len(packed) * 8, len(packed) * 8, 0, 0, 0, 0, 0, 0)
    body += _attribute(1, packed) + _attribute(2, _pack(source)[1])
    return _HEADER.pack(_HEADER.size + len(body), Kind.GET_ROUTE, _REQUEST, 0, 0) + body


def use_neighbour(interface: int, host: str) -> bytes:
    """Have the kernel look whether a neighbour is still where it was; it answers only if that is an error."""
    family, packed = _pack(host)
    body = struct.pack("=BBHiHBB", family, 0, 0, interface, 0, _USE, 0) + _attribute(1, packed)
    return _HEADER.pack(_HEADER.size + len(body), Kind.NEW_NEIGHBOUR, _REQUEST | _CREATE, 0, 0) + body


def split_messages(datagram: bytes) -> Iterator[Message]:
    """Yield the messages of a datagram; a cut one ends them."""
    place = 0
    while place + _HEADER.size <= len(datagram):
        size, kind, _, sequence, _ = _HEADER.unpack_from(datagram, place)
        if size < _HEADER.size or place + size > len(datagram):
            return
        yield Message(kind, sequence, datagram[place + _HEADER.size : place + size])
        place += size + 3 & ~3


def error_of(message: Message) -> int:
    """Return the error number of an ERROR message; 0 is an acknowledgement."""
    return -int.from_bytes(message.body[:4], "little", signed=True)


def read_interface(message: Message) -> Interface | None:
    """Read an interface; `None` if the message is about none."""
    if message.kind != Kind.NEW_LINK or len(message.body) < 16:
        return None
    _, hardware, number = struct.unpack_from("=HHi", message.body)
    values = _attributes(message.body[16:])
    mtu = int.from_bytes(values.get(4, b"")[:4], "little")
    virtual = _attributes(values.get(18, b""))
    kind, details = _text(virtual.get(1, b"")), _attributes(virtual.get(2, b""))
    parent = tag = 0
    if kind == "vlan" and details.get(5) == _8021Q:
        parent = int.from_bytes(values.get(5, b"")[:4], "little")
        tag = int.from_bytes(details.get(1, b"")[:2], "little")
    return Interface(number, _text(values.get(3, b"")), hardware, values.get(1, b""), mtu, kind, parent, tag)


def read_address(message: Message) -> tuple[int, str] | None:
    """Read an interface's number and one of its addresses."""
    if message.kind != Kind.NEW_ADDRESS or len(message.body) < 8:
        return None
    (number,) = struct.unpack_from("=I", message.body, 4)
    values = _attributes(message.body[8:])
    host = _host_of(values.get(2) or values.get(1))  # IFA_LOCAL; IPv6 has only IFA_ADDRESS
    return None if host is None else (number, host)


def read_route(message: Message) -> Route | None:
    """Read how a host is reached; `None` if not through a network."""
    if message.kind != Kind.NEW_ROUTE or len(message.body) < 12 or message.body[7] != _UNICAST:
        return None
    values = _attributes(message.body[12:])
    interface = values.get(4, b"")
    if len(interface) != 4:
        return None
    mtu = _attributes(values.get(8, b"")).get(_NESTED_MTU)
    via = values.get(18)  # a gateway of the other family: two octets of family, then the address
    gateway = _host_of(values.get(5) if via is None else via[2:])
    return Route(
        int.from_bytes(interface, "little"), gateway, None if mtu is None else int.from_bytes(mtu, "little")
    )


def read_neighbour(message: Message) -> Neighbour | None:
    """Read a neighbour, or that there is none any more."""
    if message.kind not in {Kind.NEW_NEIGHBOUR, Kind.DELETED_NEIGHBOUR} or len(message.body) < 12:
        return None
    _, _, _, interface, state = struct.unpack_from("=BBHiH", message.body)
    values = _attributes(message.body[12:])
    host, address = _host_of(values.get(1)), values.get(2)
    if host is None:
        return None
    if (
        message.kind == Kind.DELETED_NEIGHBOUR
        or state & _DEAD_NEIGHBOUR
        or address is None
        or len(address) != 6
    ):
        address = None
    return Neighbour(interface, host, address)


def _pack(host: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.inet_pton(family, host)


def _host_of(packed: bytes | None) -> str | None:
    match len(packed or b""):
        case 4:
            return socket.inet_ntop(socket.AF_INET, packed or b"")
        case 16:
            return socket.inet_ntop(socket.AF_INET6, packed or b"")
        case _:
            return None


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    place = 0
    while place + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, place)
        if size < 4 or place + size > len(data):
            break
        found[kind & 0x3FFF] = data[place + 4 : place + size]
        place += size + 3 & ~3
    return found
