"""Data between clients and peers: only what was granted, only while it was, and across in one pass."""

import os
from ipaddress import ip_network

import pytest

from support.turn_client import send_indication
from support.turn_machine import ALICE, BOB, NOON, PEER, RELAY_HOSTS, SERVER, Client, Node, policy_with
from turnnode.relay.data_path import Flow
from turnnode.relay.machine import Send
from turnnode.stun.attributes import (
    FAMILY_IPV4,
    Address,
    AttributeType,
    decode_xor_address,
    encode_lifetime,
)
from turnnode.stun.channel_data import decode_channel_data, encode_channel_data
from turnnode.stun.message import Message, MessageClass, Method, decode, encode

RELAY = (RELAY_HOSTS[FAMILY_IPV4], 50_000)
CHANNEL = 0x4000
HOUR = (AttributeType.LIFETIME, encode_lifetime(3600))


def bound(node: Node | None = None) -> Client:
    client = (node or Node()).client()
    client.allocate(HOUR)
    assert client.bind(CHANNEL, PEER) == 200
    return client


def permitted() -> Client:
    client = Node().client()
    client.allocate(HOUR)
    assert client.permit(PEER) == 200
    return client


def indicated(send: Send | None) -> tuple[Address, bytes]:
    """Return peer and data of a Data indication."""
    assert send is not None
    message = decode(send.data)
    peer, data = message.find(AttributeType.XOR_PEER_ADDRESS), message.find(AttributeType.DATA)
    assert (message.method, message.message_class) == (Method.DATA, MessageClass.INDICATION)
    assert peer is not None
    assert data is not None
    return decode_xor_address(peer, message.transaction_id), data


def test_channel_carries_data_both_ways() -> None:
    client = bound()

    there = client.send(encode_channel_data(CHANNEL, b"ping") + b"\0\0\0")
    back = client.node.from_peer(RELAY, b"pong", PEER)

    assert there == Send(client.node.ports.opened[0], b"ping", PEER)
    assert back == Send(client.node.side.outlet, encode_channel_data(CHANNEL, b"pong"), ALICE)
    counters = client.node.counters
    assert (counters.packets_to_peers, counters.bytes_to_peers) == (1, 4)
    assert (counters.packets_to_clients, counters.bytes_to_clients) == (1, 4)


def test_indications_carry_data_both_ways_by_permission() -> None:
    client = permitted()

    assert client.send(send_indication(PEER, b"ping")) == Send(client.node.ports.opened[0], b"ping", PEER)
    assert indicated(client.node.from_peer(RELAY, b"pong", ("8.8.8.8", 9))) == (("8.8.8.8", 9), b"pong")


@pytest.mark.parametrize("number", [0x3FFF, 0x4001, 0x7FFF])
def test_data_on_a_channel_that_is_not_bound_is_dropped(number: int) -> None:
    assert bound().send(encode_channel_data(number, b"x")) is None


def test_data_of_a_stranger_is_dropped() -> None:
    client = bound()

    assert client.node.from_client(encode_channel_data(CHANNEL, b"x"), BOB) is None
    assert client.node.from_client(send_indication(PEER, b"x"), BOB) is None
    assert client.node.from_peer(RELAY, b"x", ("8.8.4.4", 50_000)) is None
    assert client.node.from_peer((RELAY[0], 50_001), b"x", PEER) is None
    assert client.node.counters.dropped_unpermitted == 4


def test_indication_to_a_peer_without_permission_or_on_a_low_port_is_dropped() -> None:
    client = permitted()

    assert client.send(send_indication(("8.8.4.4", 50_000), b"x")) is None
    assert client.send(send_indication(("8.8.8.8", 53), b"x")) is None


@pytest.mark.parametrize("missing", [AttributeType.XOR_PEER_ADDRESS, AttributeType.DATA])
def test_indication_without_peer_or_data_is_dropped(missing: AttributeType) -> None:
    client = permitted()
    whole = decode(send_indication(PEER, b"x"))
    rest = tuple(pair for pair in whole.attributes if pair[0] != missing)

    assert (
        client.send(encode(Message(Method.SEND, MessageClass.INDICATION, whole.transaction_id, rest))) is None
    )


def test_indication_with_an_unknown_attribute_is_dropped() -> None:
    client = permitted()
    whole = decode(send_indication(PEER, b"x"))
    more = (*whole.attributes, (0x7FFF, b""))

    assert (
        client.send(encode(Message(Method.SEND, MessageClass.INDICATION, whole.transaction_id, more))) is None
    )


@pytest.mark.parametrize(("after", "is_relayed"), [(299, True), (300, False)])
def test_permission_lasts_300_seconds(after: int, is_relayed: bool) -> None:
    client = permitted()
    client.node.now = NOON + after

    assert (client.send(send_indication(PEER, b"x")) is not None) is is_relayed
    assert (client.node.from_peer(RELAY, b"x", PEER) is not None) is is_relayed


@pytest.mark.parametrize(("after", "is_relayed"), [(599, True), (600, False)])
def test_channel_lasts_600_seconds_without_another_permission(after: int, is_relayed: bool) -> None:
    client = bound()
    client.node.now = NOON + after

    assert (client.send(encode_channel_data(CHANNEL, b"x")) is not None) is is_relayed
    assert (client.node.from_peer(RELAY, b"x", PEER) is not None) is is_relayed


@pytest.mark.parametrize(("after", "is_relayed"), [(99, True), (100, False)])
def test_data_stops_with_the_credential(after: int, is_relayed: bool) -> None:
    node = Node()
    client = node.client(ends_in=100)
    client.allocate(HOUR)
    client.bind(CHANNEL, PEER)
    node.now = NOON + after

    assert (client.send(encode_channel_data(CHANNEL, b"x")) is not None) is is_relayed
    assert (client.send(send_indication(PEER, b"x")) is not None) is is_relayed
    assert (node.from_peer(RELAY, b"x", PEER) is not None) is is_relayed


def joined(node: Node, *, by_channel: bool) -> tuple[Client, Client, Address, Address]:
    """Let Alice and Bob allocate and point at each other's relayed address."""
    alice, bob = node.client(ALICE), node.client(BOB, ends_in=7200)
    alice_relay, bob_relay = alice.allocate(), bob.allocate()
    if by_channel:
        assert [alice.bind(CHANNEL, bob_relay), bob.bind(CHANNEL + 1, alice_relay)] == [200, 200]
    else:
        assert [alice.permit(bob_relay), bob.permit(alice_relay)] == [200, 200]
    return alice, bob, alice_relay, bob_relay


def test_two_clients_of_one_node_are_joined_in_one_pass() -> None:
    node = Node()
    alice, bob, _, _ = joined(node, by_channel=True)

    there = alice.send(encode_channel_data(CHANNEL, b"hello"))
    back = bob.send(encode_channel_data(CHANNEL + 1, b"hi"))

    assert there == Send(node.side.outlet, encode_channel_data(CHANNEL + 1, b"hello"), BOB)
    assert back == Send(node.side.outlet, encode_channel_data(CHANNEL, b"hi"), ALICE)
    assert node.counters.packets_hairpinned == 2


def test_two_clients_of_one_node_are_joined_by_indications_too() -> None:
    node = Node()
    alice, _, alice_relay, bob_relay = joined(node, by_channel=False)

    assert indicated(alice.send(send_indication(bob_relay, b"hello"))) == (alice_relay, b"hello")


def test_client_is_not_joined_to_one_that_has_not_permitted_it() -> None:
    node = Node()
    alice, bob = node.client(ALICE), node.client(BOB)
    alice.allocate()
    assert alice.bind(CHANNEL, bob.allocate()) == 200

    assert alice.send(encode_channel_data(CHANNEL, b"x")) is None


def test_relay_port_that_has_closed_is_no_way_out() -> None:
    node = Node()
    alice, bob, _, _ = joined(node, by_channel=True)
    bob.ask(Method.REFRESH, (AttributeType.LIFETIME, bytes(4)))

    assert alice.send(encode_channel_data(CHANNEL, b"x")) is None


@pytest.mark.parametrize("port", [3478, 22, 40_000])
def test_other_ports_of_the_node_are_out_of_reach(port: int) -> None:
    node = Node()
    client = node.client()
    client.allocate()
    peer = (SERVER[0], port)

    assert client.bind(CHANNEL, peer) == 403
    assert client.permit(peer) == 200  # a permission is for the host, whose relay ports may be reached
    assert client.send(send_indication(peer, b"x")) is None


def test_own_listening_port_is_out_of_reach_even_where_its_network_is_allowed() -> None:
    node = Node(allow="9.9.9.0/24")
    client = node.client()
    client.allocate()

    assert client.bind(CHANNEL, SERVER) == 403
    assert client.bind(CHANNEL, (SERVER[0], 40_000)) == 200
    assert client.send(encode_channel_data(CHANNEL, b"x")) is not None


def test_changed_policy_ends_what_it_forbids_and_nothing_else() -> None:
    node = Node(allow="192.0.2.0/24")
    client = node.client()
    client.allocate()
    inside = ("192.0.2.1", 50_000)
    assert [client.bind(CHANNEL, inside), client.bind(CHANNEL + 1, PEER)] == [200, 200]

    node.policy.replace(policy_with(peer_allow=(ip_network("198.51.100.0/24"),)))

    assert client.send(encode_channel_data(CHANNEL, b"x")) is None
    assert client.send(send_indication(inside, b"x")) is None
    assert node.from_peer(RELAY, b"x", inside) is None
    assert client.send(encode_channel_data(CHANNEL + 1, b"x")) is not None
    assert [flow.peer for flow in node.data_path.removed] == [inside]
    assert client.permit(("198.51.100.1", 1)) == 200


def test_raised_port_limit_ends_channels_to_low_ports() -> None:
    client = bound()
    client.node.policy.replace(policy_with(min_peer_port=60_000))

    assert client.send(encode_channel_data(CHANNEL, b"x")) is None


def test_watcher_that_has_left_hears_nothing() -> None:
    node = Node()
    heard: list[int] = []
    leave = node.policy.watch(lambda: heard.append(1))
    node.policy.replace(policy_with())
    leave()
    node.policy.replace(policy_with())

    assert heard == [1]


def test_data_path_learns_of_a_flow_of_its_refresh_and_of_its_end() -> None:
    node = Node()
    client = node.client()
    client.allocate()
    client.bind(CHANNEL, PEER)
    flow = Flow(
        client=ALICE,
        server=SERVER,
        relay=RELAY,
        published=RELAY,
        peer=PEER,
        channel=CHANNEL,
        expires_at=NOON + 600,
        username=client.writer.credential.username,
    )
    assert node.data_path.live == {(ALICE, SERVER, CHANNEL): flow}

    node.now = NOON + 100
    client.bind(CHANNEL, PEER)
    assert node.data_path.live[ALICE, SERVER, CHANNEL].expires_at == NOON + 600  # the allocation's end
    client.ask(Method.REFRESH)
    assert node.data_path.live[ALICE, SERVER, CHANNEL].expires_at == NOON + 700

    node.now = NOON + 700
    node.machine.expire(node.now)
    assert not node.data_path.live
    assert node.data_path.removed[-1].peer == PEER


def test_sweep_ends_channels_and_permissions_that_are_over() -> None:
    client = bound()
    client.node.now = NOON + 600
    client.node.machine.expire(client.node.now)

    assert not client.node.data_path.live
    assert client.node.counters.allocations == 1


def test_data_too_large_for_an_indication_is_dropped() -> None:
    client = permitted()

    assert client.node.from_peer(RELAY, bytes(65_000), PEER) is not None
    assert client.node.from_peer(RELAY, bytes(65_001), PEER) is None


def test_peer_data_is_delivered_unchanged() -> None:
    client = bound()
    data = os.urandom(1200)
    send = client.node.from_peer(RELAY, data, PEER)

    assert send is not None
    assert decode_channel_data(send.data) == (CHANNEL, data)
