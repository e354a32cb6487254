"""Allocate, Refresh, CreatePermission and ChannelBind of a client that is known."""

import os

import pytest

from support.turn_client import (
    IPV6,
    UDP,
    channel_attribute,
    lifetime_of,
    peer_attribute,
    relay_of,
    status_of,
)
from support.turn_machine import ALICE, BOB, NOON, PEER, PEER_IPV6, RELAY_HOSTS, Client, FakePorts, Node
from turnnode.stun.attributes import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    AttributeType,
    decode_xor_address,
    encode_first_octet,
    encode_lifetime,
)
from turnnode.stun.message import TRANSACTION_ID_BYTES, Method

ADDITIONAL_IPV6 = (AttributeType.ADDITIONAL_ADDRESS_FAMILY, encode_first_octet(FAMILY_IPV6))
EVEN_PORT = (AttributeType.EVEN_PORT, b"\x00")
EVEN_AND_NEXT = (AttributeType.EVEN_PORT, b"\x80")
TOKEN = (AttributeType.RESERVATION_TOKEN, bytes(8))


def lifetime(seconds: int) -> tuple[int, bytes]:
    return AttributeType.LIFETIME, encode_lifetime(seconds)


def allocated(
    node: Node | None = None, address: tuple[str, int] = ALICE, *, ends_in: float = 86_400
) -> Client:
    client = (node or Node()).client(address, ends_in=ends_in)
    client.allocate()
    return client


def test_allocation_names_its_relay_the_client_and_its_lifetime() -> None:
    answer = Node().client().ask(Method.ALLOCATE, UDP)

    assert answer is not None
    mapped = answer.find(AttributeType.XOR_MAPPED_ADDRESS)
    assert mapped is not None
    assert decode_xor_address(mapped, answer.transaction_id) == ALICE
    assert relay_of(answer) == (RELAY_HOSTS[FAMILY_IPV4], 50_000)
    assert lifetime_of(answer) == 600


def test_ipv6_allocation_is_made_on_request() -> None:
    assert Node().client().allocate(IPV6)[0] == RELAY_HOSTS[FAMILY_IPV6]


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ((), 400),
        (((AttributeType.REQUESTED_TRANSPORT, b"\x11"),), 400),
        (((AttributeType.REQUESTED_TRANSPORT, encode_first_octet(6)),), 442),
        ((UDP, (AttributeType.REQUESTED_ADDRESS_FAMILY, encode_first_octet(3))), 440),
        ((UDP, (AttributeType.REQUESTED_ADDRESS_FAMILY, b"")), 400),
        ((UDP, (AttributeType.LIFETIME, b"\x00")), 400),
        ((UDP, (AttributeType.EVEN_PORT, b"")), 400),
        ((UDP, (AttributeType.RESERVATION_TOKEN, bytes(7))), 400),
        ((UDP, ADDITIONAL_IPV6, EVEN_AND_NEXT), 400),
        ((UDP, TOKEN), 508),
        ((UDP, TOKEN, EVEN_PORT), 400),
        ((UDP, TOKEN, IPV6), 400),
        ((UDP, ADDITIONAL_IPV6, IPV6), 400),
        ((UDP, ADDITIONAL_IPV6, TOKEN), 400),
        ((UDP, (AttributeType.ADDITIONAL_ADDRESS_FAMILY, encode_first_octet(FAMILY_IPV4))), 400),
        ((UDP, (0x7FFF, b"")), 420),
    ],
)
def test_allocation_that_cannot_be_made_is_refused_and_nothing_is_open(
    attributes: tuple[tuple[int, bytes], ...], status: int
) -> None:
    node = Node()

    assert status_of(node.client().ask(Method.ALLOCATE, *attributes)) == status
    assert not node.ports.opened
    assert node.counters.refused[status] == 1


def test_family_without_a_relay_address_gets_440() -> None:
    node = Node(ports=FakePorts(families=frozenset({FAMILY_IPV4})))

    assert status_of(node.client().ask(Method.ALLOCATE, UDP, IPV6)) == 440


def test_additional_family_is_refused_beside_the_first_address() -> None:
    node = Node(ports=FakePorts(families=frozenset({FAMILY_IPV4})))
    answer = node.client().ask(Method.ALLOCATE, UDP, ADDITIONAL_IPV6)

    assert answer is not None
    assert relay_of(answer)[0] == RELAY_HOSTS[FAMILY_IPV4]
    assert answer.find(AttributeType.ADDRESS_ERROR_CODE) == bytes((FAMILY_IPV6, 0, 4, 40))


def test_repeated_request_gets_the_same_answer_and_another_one_437() -> None:
    client = Node().client()
    client.ask(Method.BINDING)
    transaction_id = os.urandom(TRANSACTION_ID_BYTES)
    first = client.ask(Method.ALLOCATE, UDP, transaction_id=transaction_id)

    assert client.ask(Method.ALLOCATE, UDP, transaction_id=transaction_id) == first
    assert status_of(client.ask(Method.ALLOCATE, UDP)) == 437
    assert len(client.node.ports.opened) == 1


@pytest.mark.parametrize(
    ("asked", "granted"), [(1, 600), (600, 600), (1800, 1800), (3600, 3600), (90_000, 3600)]
)
def test_lifetime_is_between_ten_minutes_and_an_hour(asked: int, granted: int) -> None:
    client = Node().client()

    assert lifetime_of(client.ask(Method.ALLOCATE, UDP, lifetime(asked))) == granted
    assert lifetime_of(client.ask(Method.REFRESH, lifetime(asked))) == granted


def test_lifetime_never_goes_beyond_the_credential() -> None:
    client = Node().client(ends_in=100)

    assert lifetime_of(client.ask(Method.ALLOCATE, UDP, lifetime(3600))) == 100
    client.node.now += 60.5
    assert lifetime_of(client.ask(Method.REFRESH, lifetime(3600))) == 39


@pytest.mark.parametrize("method", [Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND])
def test_request_without_an_allocation_gets_437(method: Method) -> None:
    assert status_of(Node().client().ask(method)) == 437


def test_lifetime_of_zero_ends_the_allocation_at_once() -> None:
    client = allocated()

    assert lifetime_of(client.ask(Method.REFRESH, lifetime(0))) == 0
    assert client.node.ports.opened[0].is_closed
    assert status_of(client.ask(Method.REFRESH, lifetime(0))) == 437
    assert client.node.counters.allocations == 0


@pytest.mark.parametrize("is_swept", [False, True])
def test_allocation_ends_with_its_lifetime_whether_or_not_it_is_swept(is_swept: bool) -> None:
    client = allocated()
    client.node.now = NOON + 600
    if is_swept:
        client.node.machine.expire(client.node.now)

    assert status_of(client.ask(Method.REFRESH)) == 437
    client.allocate()
    assert client.node.counters.allocations == 1


def test_refresh_of_the_other_family_gets_443() -> None:
    assert status_of(allocated().ask(Method.REFRESH, IPV6)) == 443


def test_malformed_refresh_gets_400() -> None:
    assert status_of(allocated().ask(Method.REFRESH, (AttributeType.LIFETIME, b""))) == 400


def test_permission_request_with_two_peers_installs_both() -> None:
    client = allocated()

    assert client.permit(PEER, ("8.8.4.4", 1)) == 200
    relay = (RELAY_HOSTS[FAMILY_IPV4], 50_000)
    assert client.node.from_peer(relay, b"x", PEER) is not None
    assert client.node.from_peer(relay, b"x", ("8.8.4.4", 9)) is not None


@pytest.mark.parametrize(("bad", "status"), [(("127.0.0.1", 5000), 403), (PEER_IPV6, 443)])
def test_permission_request_with_one_bad_peer_installs_none(bad: tuple[str, int], status: int) -> None:
    client = allocated()

    assert client.permit(PEER, bad) == status
    assert client.node.from_peer((RELAY_HOSTS[FAMILY_IPV4], 50_000), b"x", PEER) is None


@pytest.mark.parametrize("value", [b"", bytes(8), b"\0\x01" + bytes(3)])
def test_permission_request_with_a_malformed_or_missing_peer_gets_400(value: bytes) -> None:
    client = allocated()

    assert status_of(client.ask(Method.CREATE_PERMISSION)) == 400
    assert status_of(client.ask(Method.CREATE_PERMISSION, (AttributeType.XOR_PEER_ADDRESS, value))) == 400


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "0.0.0.0",  # noqa: S104 - a peer, not bound
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_peer_that_is_not_globally_routable_gets_403(host: str) -> None:
    client = allocated()

    assert client.permit((host, 5000)) == 403
    assert client.bind(0x4000, (host, 5000)) == 403


@pytest.mark.parametrize(
    "host",
    ["::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "fd00::1"],
)
def test_ipv6_peer_that_is_not_globally_routable_gets_403(host: str) -> None:
    client = Node().client()
    client.allocate(IPV6)

    assert client.permit((host, 5000)) == 403
    assert client.bind(0x4000, (host, 5000)) == 403


@pytest.mark.parametrize(("number", "status"), [(0x3FFF, 400), (0x4000, 200), (0x7FFF, 200), (0x8000, 400)])
def test_channel_number_must_be_in_its_range(number: int, status: int) -> None:
    assert allocated().bind(number, PEER) == status


def test_number_and_peer_stay_together_while_the_channel_lives() -> None:
    client = allocated()
    other = ("8.8.4.4", 50_000)

    assert client.bind(0x4000, PEER) == 200
    assert client.bind(0x4000, PEER) == 200
    assert client.bind(0x4000, other) == 400
    assert client.bind(0x4001, PEER) == 400
    client.ask(Method.REFRESH, lifetime(3600))
    client.node.now += 600
    assert client.bind(0x4000, other) == 200
    assert client.bind(0x4001, PEER) == 200


def test_channel_request_without_number_or_peer_gets_400() -> None:
    client = allocated()
    transaction_id = os.urandom(TRANSACTION_ID_BYTES)
    number, peer = channel_attribute(0x4000), peer_attribute(PEER, transaction_id)

    for attributes in ((), (number,), (peer,), ((AttributeType.CHANNEL_NUMBER, b"\x40\x00"), peer)):
        assert status_of(client.ask(Method.CHANNEL_BIND, *attributes, transaction_id=transaction_id)) == 400


def test_channel_to_a_peer_of_the_other_family_gets_443() -> None:
    assert allocated().bind(0x4000, PEER_IPV6) == 443


def test_credential_gets_486_beyond_its_quota_and_others_are_not_held_back() -> None:
    node = Node(allocations_per_credential=2)
    first = allocated(node, ("5.5.5.1", 1))
    allocated(node, ("5.5.5.1", 2))

    assert status_of(node.client(("5.5.5.1", 3)).ask(Method.ALLOCATE, UDP)) == 486
    allocated(node, BOB, ends_in=7200)
    first.ask(Method.REFRESH, lifetime(0))
    allocated(node, ("5.5.5.1", 3))


def test_node_gets_508_beyond_its_total() -> None:
    node = Node(allocations=2)
    allocated(node, ("5.5.5.1", 1))
    allocated(node, ("5.5.5.1", 2))

    assert status_of(node.client(("5.5.5.1", 3)).ask(Method.ALLOCATE, UDP)) == 508


def test_node_without_a_free_port_answers_508() -> None:
    assert status_of(Node(ports=FakePorts(free=0)).client().ask(Method.ALLOCATE, UDP)) == 508


def test_allocation_gets_508_beyond_its_permissions_and_old_ones_can_be_refreshed() -> None:
    client = allocated(Node(permissions_per_allocation=2))

    assert client.permit(("8.8.8.1", 1), ("8.8.8.2", 1), ("8.8.8.3", 1)) == 508
    assert client.permit(("8.8.8.1", 1), ("8.8.8.2", 1)) == 200
    assert client.permit(("8.8.8.3", 1)) == 508
    assert client.bind(0x4000, ("8.8.8.3", 5000)) == 508
    assert client.permit(("8.8.8.2", 1)) == 200
    client.node.now += 300
    client.node.machine.expire(client.node.now)
    assert client.permit(("8.8.8.3", 1)) == 200


def test_allocation_gets_508_beyond_its_channels_and_old_ones_can_be_refreshed() -> None:
    client = allocated(Node(channels_per_allocation=2))

    assert [client.bind(0x4000 + number, ("8.8.8.8", 5000 + number)) for number in range(3)] == [
        200,
        200,
        508,
    ]
    assert client.bind(0x4001, ("8.8.8.8", 5001)) == 200
