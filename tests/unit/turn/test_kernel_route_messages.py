"""Messages of rtnetlink: what the kernel says is read, and anything else does no harm."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from turnnode.kernel.route_messages import (
    Kind,
    Message,
    Neighbour,
    ask_for_route,
    error_of,
    number_request,
    read_address,
    read_interface,
    read_neighbour,
    read_route,
    split_messages,
)

GATEWAY = "192.0.2.254"


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def route(*attributes: bytes, kind: int = 1) -> Message:
    return Message(Kind.NEW_ROUTE, 0, bytes(7) + bytes((kind,)) + bytes(4) + b"".join(attributes))


def neighbour(state: int, *attributes: bytes) -> Message:
    return Message(
        Kind.NEW_NEIGHBOUR, 0, struct.pack("=BBHiHBB", 2, 0, 0, 7, state, 0, 1) + b"".join(attributes)
    )


def test_route_through_a_gateway_is_read_with_its_mtu() -> None:
    mtu = attribute(8, attribute(2, (1400).to_bytes(4, "little")))
    found = read_route(
        route(attribute(4, (7).to_bytes(4, "little")), attribute(5, bytes((192, 0, 2, 254))), mtu)
    )

    assert found is not None
    assert (found.interface, found.gateway, found.mtu) == (7, GATEWAY, 1400)


def test_gateway_of_the_other_version_of_ip_is_read() -> None:
    via = attribute(18, struct.pack("=H", 10) + bytes.fromhex("fe80") + bytes(13) + b"\x01")
    found = read_route(route(attribute(4, (7).to_bytes(4, "little")), via))

    assert found is not None
    assert found.gateway == "fe80::1"


def test_local_route_is_none() -> None:
    assert read_route(route(attribute(4, (1).to_bytes(4, "little")), kind=2)) is None


def test_neighbour_is_known_only_with_an_address_of_ethernet() -> None:
    host, link = attribute(1, bytes((192, 0, 2, 254))), attribute(2, b"\x02\0\0\0\0\1")

    assert read_neighbour(neighbour(0x04, host, link)) == Neighbour(7, GATEWAY, b"\x02\0\0\0\0\1")
    assert read_neighbour(neighbour(0x20, host, link)) == Neighbour(7, GATEWAY, None)  # failed
    assert read_neighbour(neighbour(0x04, host, attribute(2, bytes(8)))) == Neighbour(7, GATEWAY, None)
    assert read_neighbour(neighbour(0x04, link)) is None


def vlan(protocol: bytes) -> Message:
    details = attribute(1, (7).to_bytes(2, "little")) + attribute(5, protocol)
    info = attribute(1, b"vlan\0") + attribute(2, details)
    attributes = attribute(3, b"eth0.7\0"), attribute(5, (2).to_bytes(4, "little")), attribute(18, info)
    return Message(Kind.NEW_LINK, 0, struct.pack("=HHi8x", 0, 1, 9) + b"".join(attributes))


def test_vlan_is_read_with_its_tag_and_what_carries_it() -> None:
    found = read_interface(vlan(b"\x81\x00"))
    assert found is not None
    assert (found.number, found.name, found.kind, found.parent, found.tag) == (9, "eth0.7", "vlan", 2, 7)

    provider = read_interface(vlan(b"\x88\xa8"))  # programs write no such tags
    assert provider is not None
    assert (provider.parent, provider.tag) == (0, 0)


def test_question_keeps_everything_but_its_number() -> None:
    request = number_request(ask_for_route("192.0.2.1", "198.51.100.1"), 77)
    (message,) = split_messages(request)

    assert (message.kind, message.sequence) == (Kind.GET_ROUTE, 77)
    assert bytes((198, 51, 100, 1)) in message.body


def test_error_is_read_as_a_positive_number() -> None:
    assert error_of(Message(Kind.ERROR, 0, struct.pack("=i", -101) + bytes(16))) == 101


@given(st.binary(max_size=200))
def test_any_datagram_is_split_and_read_without_harm(datagram: bytes) -> None:
    for message in split_messages(datagram):
        assert len(message.body) <= len(datagram)


@given(st.sampled_from(Kind), st.binary(max_size=120))
def test_any_body_is_read_or_nothing(kind: Kind, body: bytes) -> None:
    message = Message(kind, 0, body)
    interface = read_interface(message)
    assert interface is None or kind == Kind.NEW_LINK
    address = read_address(message)
    assert address is None or kind == Kind.NEW_ADDRESS
    found = read_route(message)
    assert found is None or kind == Kind.NEW_ROUTE
    one = read_neighbour(message)
    assert one is None or kind in {Kind.NEW_NEIGHBOUR, Kind.DELETED_NEIGHBOUR}
