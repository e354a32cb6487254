"""Allocations on even ports, on reserved ones, and in both families."""

from pathlib import Path

import pytest

from support.turn_client import IPV6, UDP, relay_of, send_indication, status_of
from support.turn_machine import (
    ALICE,
    BOB,
    PEER,
    PEER_IPV6,
    RELAY_HOSTS,
    Client,
    FakePorts,
    Node,
)
from turnnode.relay.journal import Journal
from turnnode.relay.reservations import RESERVATION_SECONDS
from turnnode.stun.attributes import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    Address,
    AttributeType,
    decode_xor_address,
    encode_first_octet,
    encode_lifetime,
)
from turnnode.stun.channel_data import encode_channel_data
from turnnode.stun.message import Message, Method, decode, encode

BOTH = (AttributeType.ADDITIONAL_ADDRESS_FAMILY, encode_first_octet(FAMILY_IPV6))
IPV4 = (AttributeType.REQUESTED_ADDRESS_FAMILY, encode_first_octet(FAMILY_IPV4))
EVEN = (AttributeType.EVEN_PORT, b"\x00")
EVEN_AND_NEXT = (AttributeType.EVEN_PORT, b"\x80")
ENDED = (AttributeType.LIFETIME, encode_lifetime(0))


def relays_of(answer: Message | None) -> list[Address]:
    assert answer is not None
    assert status_of(answer) == 200, status_of(answer)
    values = answer.find_all(AttributeType.XOR_RELAYED_ADDRESS)
    return [decode_xor_address(value, answer.transaction_id) for value in values]


def reserved(node: Node) -> tuple[Address, tuple[int, bytes]]:
    """Allocate with a reservation; return the relay and the token's attribute."""
    answer = node.client().ask(Method.ALLOCATE, UDP, EVEN_AND_NEXT)
    assert answer is not None
    assert status_of(answer) == 200, status_of(answer)
    token = answer.find(AttributeType.RESERVATION_TOKEN)
    assert token is not None
    return relay_of(answer), (AttributeType.RESERVATION_TOKEN, token)


def both(node: Node) -> tuple[Client, Address, Address]:
    client = node.client()
    relay, relay_ipv6 = relays_of(client.ask(Method.ALLOCATE, UDP, BOTH))
    return client, relay, relay_ipv6


def test_even_port_is_even_and_reserves_nothing() -> None:
    node = Node()
    node.client(BOB).allocate()
    answer = node.client().ask(Method.ALLOCATE, UDP, EVEN)

    assert answer is not None
    assert relay_of(answer)[1] % 2 == 0
    assert answer.find(AttributeType.RESERVATION_TOKEN) is None


def test_token_fetches_the_port_above_the_even_one_once() -> None:
    node = Node()
    (host, port), token = reserved(node)

    assert relays_of(node.client(BOB).ask(Method.ALLOCATE, UDP, token)) == [(host, port + 1)]
    assert status_of(node.client(("5.5.5.3", 1)).ask(Method.ALLOCATE, UDP, token)) == 508


@pytest.mark.parametrize(("waited", "status"), [(RESERVATION_SECONDS - 1, 200), (RESERVATION_SECONDS, 508)])
@pytest.mark.parametrize("is_swept", [False, True])
def test_reserved_port_waits_for_half_a_minute(waited: int, status: int, is_swept: bool) -> None:
    node = Node()
    bob = node.client(BOB)
    _, token = reserved(node)
    node.now += waited
    if is_swept:
        node.machine.expire(node.now)
        assert node.ports.opened[1].is_closed is (status == 508)

    assert status_of(bob.ask(Method.ALLOCATE, UDP, token)) == status


def test_token_of_another_credential_fetches_nothing() -> None:
    node = Node()
    _, token = reserved(node)

    assert status_of(node.client(BOB, ends_in=7200).ask(Method.ALLOCATE, UDP, token)) == 508


def test_reserved_port_counts_towards_the_quotas() -> None:
    assert (
        status_of(Node(allocations_per_credential=1).client().ask(Method.ALLOCATE, UDP, EVEN_AND_NEXT)) == 486
    )
    assert status_of(Node(allocations=1).client().ask(Method.ALLOCATE, UDP, EVEN_AND_NEXT)) == 508
    node = Node(allocations_per_credential=2)
    reserved(node)
    assert status_of(node.client(BOB).ask(Method.ALLOCATE, UDP)) == 486


def test_node_without_two_ports_answers_508_and_opens_none() -> None:
    node = Node(ports=FakePorts(free=1))

    assert status_of(node.client().ask(Method.ALLOCATE, UDP, EVEN_AND_NEXT)) == 508
    assert not node.ports.opened


def test_allocation_of_both_families_names_both_relays_and_is_one_allocation() -> None:
    node = Node()
    _, relay, relay_ipv6 = both(node)

    assert (relay[0], relay_ipv6[0]) == (RELAY_HOSTS[FAMILY_IPV4], RELAY_HOSTS[FAMILY_IPV6])
    assert node.counters.allocations == 1
    assert len(node.machine.list_allocations()) == 1


def test_data_leaves_by_the_relay_of_its_peers_family_and_comes_back() -> None:
    node = Node()
    client, relay, relay_ipv6 = both(node)
    assert client.permit(PEER, PEER_IPV6) == 200

    for peer, own in ((PEER, relay), (PEER_IPV6, relay_ipv6)):
        send = client.send(send_indication(peer, b"out"))
        assert send is not None
        assert send.address == peer
        assert send.outlet.published == own  # type: ignore[attr-defined] # it is a port
        back = node.from_peer(own, b"in", peer)
        assert back is not None
        assert back.address == ALICE


def test_channel_to_either_family_is_told_to_the_data_path_with_its_relay() -> None:
    node = Node()
    client, relay, relay_ipv6 = both(node)
    assert client.bind(0x4000, PEER) == 200
    assert client.bind(0x4001, PEER_IPV6) == 200

    assert [flow.relay for flow in node.data_path.live.values()] == [relay, relay_ipv6]


def test_two_clients_meet_across_families_inside_the_node() -> None:
    node = Node()
    alice, _, alice_ipv6 = both(node)
    bob = node.client(BOB, ends_in=7200)
    bob_ipv6 = bob.allocate(IPV6)
    assert alice.bind(0x4000, bob_ipv6) == 200
    assert bob.bind(0x4001, alice_ipv6) == 200

    send = alice.send(encode_channel_data(0x4000, b"hello"))
    assert send is not None
    assert (send.address, send.data) == (BOB, encode_channel_data(0x4001, b"hello"))


@pytest.mark.parametrize(("family", "gone", "kept"), [(IPV4, PEER, PEER_IPV6), (IPV6, PEER_IPV6, PEER)])
def test_one_family_is_given_back_with_all_that_hangs_on_it(
    family: tuple[int, bytes], gone: Address, kept: Address
) -> None:
    node = Node()
    client, _, _ = both(node)
    client.permit(PEER, PEER_IPV6)
    client.bind(0x4000, gone)
    client.bind(0x4001, kept)

    assert status_of(client.ask(Method.REFRESH, ENDED, family)) == 200
    assert [port.is_closed for port in node.ports.opened].count(True) == 1
    assert client.send(send_indication(gone, b"x")) is None
    assert client.send(encode_channel_data(0x4000, b"x")) is None
    assert client.permit(gone) == 443
    assert status_of(client.ask(Method.REFRESH, ENDED, family)) == 443
    assert client.send(encode_channel_data(0x4001, b"x")) is not None
    assert [flow.peer for flow in node.data_path.live.values()] == [kept]
    assert status_of(client.ask(Method.REFRESH, ENDED)) == 200
    assert all(port.is_closed for port in node.ports.opened)


def test_both_families_end_together() -> None:
    node = Node()
    both(node)
    node.now += 600
    node.machine.expire(node.now)

    assert all(port.is_closed for port in node.ports.opened)
    assert node.counters.allocations == 0


def test_second_family_is_refused_beyond_the_nodes_total_and_the_first_is_made() -> None:
    answer = Node(allocations=1).client().ask(Method.ALLOCATE, UDP, BOTH)

    assert len(relays_of(answer)) == 1
    assert answer is not None
    assert answer.find(AttributeType.ADDRESS_ERROR_CODE) == bytes((FAMILY_IPV6, 0, 5, 8))


def test_data_that_must_not_be_divided_leaves_by_the_outlet_for_it() -> None:
    node = Node()
    client = node.client()
    client.allocate((AttributeType.DONT_FRAGMENT, b""))
    client.permit(PEER)
    whole = decode(send_indication(PEER, b"x"))
    marked = Message(
        whole.method,
        whole.message_class,
        whole.transaction_id,
        (*whole.attributes, (AttributeType.DONT_FRAGMENT, b"")),
    )
    send = client.send(encode(marked))
    assert send is not None
    assert send.outlet is node.ports.opened[0].unfragmented
    send = client.send(send_indication(PEER, b"x"))
    assert send is not None
    assert send.outlet is node.ports.opened[0]


def test_draining_node_keeps_calls_and_makes_none() -> None:
    node = Node()
    client = node.client()
    client.allocate()
    draining = Node(is_draining=True)
    node.policy.replace(draining.policy.current)

    assert status_of(client.ask(Method.REFRESH)) == 200
    assert client.bind(0x4000, PEER) == 200
    assert status_of(node.client(BOB).ask(Method.ALLOCATE, UDP)) == 508


def test_both_relays_and_what_the_client_knows_are_remembered(tmp_path: Path) -> None:
    memory = Journal(tmp_path / "journal")
    node = Node(memory=memory)
    memory.begin(bytes(32), [])
    _, relay, relay_ipv6 = both(node)
    node.client(BOB).allocate()
    memory.close()
    recorded = list(Journal(tmp_path / "journal").recall().allocations.values())

    assert (recorded[0].relay, recorded[0].second_relay, recorded[0].hears_errors) == (
        relay,
        relay_ipv6,
        True,
    )
    assert (recorded[1].second_relay, recorded[1].hears_errors) == (None, False)
    assert b"hears_errors" not in (tmp_path / "journal").read_bytes().splitlines()[3]
