"""What credentials have used, and where it ends."""

import pytest

from support.turn_client import UDP, status_of
from support.turn_machine import ALICE, BOB, NOON, PEER, SECRET, Client, Node, policy_with
from turnnode.relay.data_path import Relayed
from turnnode.relay.usage import (
    BURST_SECONDS,
    TrafficLimit,
    UsageTable,
    pseudonym_key,
    pseudonym_of,
)
from turnnode.stun.channel_data import encode_channel_data
from turnnode.stun.message import Method

KEY = pseudonym_key((SECRET,))
DATA = encode_channel_data(0x4000, bytes(1000))


def calling(limit: TrafficLimit, address: tuple[str, int] = ALICE, node: Node | None = None) -> Client:
    node = node or Node()
    node.policy.replace(policy_with(traffic=limit))
    client = node.client(address)
    client.allocate()
    assert client.bind(0x4000, PEER) == 200
    return client


def relayed(client: Client, count: int) -> int:
    """Send so many datagrams at once; return how many went through."""
    return sum(client.send(DATA) is not None for _ in range(count))


def test_credential_gets_its_rate_and_a_burst_and_not_more() -> None:
    client = calling(TrafficLimit(bits_per_second_per_credential=800_000))  # 100 datagrams a second

    assert relayed(client, 1000) == pytest.approx(100 * BURST_SECONDS, abs=2)
    sent = 0
    for _ in range(100):
        client.node.now += 0.1
        sent += relayed(client, 100)
    assert sent == pytest.approx(1000, rel=0.02)
    assert client.node.counters.dropped_over_limit > 0


def test_devices_of_one_account_share_its_rate_and_others_have_their_own() -> None:
    limit = TrafficLimit(bits_per_second_per_credential=800_000)
    first = calling(limit)
    second = calling(limit, BOB, first.node)
    both = relayed(first, 30) + relayed(second, 1000)
    other = first.node.client(("5.5.5.3", 1), ends_in=7200)
    other.allocate()
    other.bind(0x4000, PEER)

    assert both == pytest.approx(100 * BURST_SECONDS, abs=2)
    assert relayed(other, 10) == 10


def test_node_gets_its_rate_whoever_sends() -> None:
    limit = TrafficLimit(bits_per_second=800_000)
    first = calling(limit)
    other = first.node.client(BOB, ends_in=7200)
    other.allocate()
    other.bind(0x4000, PEER)

    assert relayed(first, 20) == 20
    assert relayed(other, 1000) == pytest.approx(100 * BURST_SECONDS - 20, abs=2)


@pytest.mark.parametrize(("size", "went"), [(1999, 2), (2000, 2), (2001, 3)])
def test_volume_ends_data_in_both_directions_and_new_allocations(size: int, went: int) -> None:
    client = calling(TrafficLimit(bytes_per_credential=size))

    assert relayed(client, 5) == went
    assert client.node.from_peer(client.node.ports.opened[0].published, b"x", PEER) is None
    again = client.node.client(BOB)
    assert status_of(again.ask(Method.ALLOCATE, UDP)) == 486
    client.node.policy.replace(policy_with())
    assert relayed(client, 1) == 1
    again.allocate()


def tick(client: Client, *, packets: int, size_bytes: int, dropped: int = 0) -> None:
    """Have the kernel relay something, and a second pass."""
    node = client.node
    node.data_path.usage = {
        client.writer.credential.username: Relayed(packets, size_bytes, dropped),
        "1": Relayed(1, 10**9),  # of whom nobody knows
    }
    node.now += 1
    node.machine.expire(node.now)


def test_what_the_kernel_has_relayed_counts_as_what_userspace_does() -> None:
    client = calling(TrafficLimit())
    assert relayed(client, 3) == 3
    tick(client, packets=2, size_bytes=500, dropped=7)
    tick(client, packets=0, size_bytes=0)
    (usage,) = client.node.machine.usages.list_largest(9, KEY)

    assert (usage.packets, usage.bytes, usage.dropped) == (5, 3500, 7)


@pytest.mark.parametrize(("size_bytes", "flows", "went"), [(1999, 1, 1), (2000, 0, 0), (2001, 0, 0)])
def test_kernel_relays_no_more_for_whom_the_volume_is_used_up(size_bytes: int, flows: int, went: int) -> None:
    client = calling(TrafficLimit(bytes_per_credential=2000))
    other = client.node.client(BOB, ends_in=7200)
    other.allocate()
    other.bind(0x4000, PEER)
    tick(client, packets=2, size_bytes=size_bytes)
    live = client.node.data_path.live

    assert sum(flow.client == ALICE for flow in live.values()) == flows
    assert sum(flow.client == BOB for flow in live.values()) == 1
    assert relayed(client, 1) == went


def test_kernel_gets_no_flow_of_a_used_up_volume_and_all_when_there_is_more() -> None:
    client = calling(TrafficLimit(bytes_per_credential=2000))
    live = client.node.data_path.live
    tick(client, packets=2, size_bytes=2000)
    assert client.bind(0x4000, PEER) == client.bind(0x4001, ("8.8.8.8", 50_001)) == 200
    assert not live

    client.node.policy.replace(policy_with(traffic=TrafficLimit(bytes_per_credential=2001)))
    assert sorted(flow.channel for flow in live.values()) == [0x4000, 0x4001]


def test_kernel_is_told_the_rates_and_that_they_have_ended() -> None:
    node = calling(TrafficLimit(bits_per_second_per_credential=800_000)).node
    path = node.data_path
    assert (path.bytes_per_second_each, path.bytes_per_second) == (100_000, 0)
    both = TrafficLimit(bits_per_second=8_000_000, bits_per_second_per_credential=400_000)
    node.policy.replace(policy_with(traffic=both))
    assert (path.bytes_per_second_each, path.bytes_per_second) == (50_000, 1_000_000)
    node.policy.replace(policy_with())

    assert (path.bytes_per_second_each, path.bytes_per_second) == (0, 0)


def test_usage_is_shown_by_pseudonym_the_largest_first_and_bounded() -> None:
    node = Node()
    for number in range(5):
        client = node.client(("5.5.5.1", number + 1), ends_in=3600 + number)
        client.allocate()
        client.bind(0x4000, PEER)
        relayed(client, number)
    shown = node.machine.usages.list_largest(3, KEY)

    assert [usage.packets for usage in shown] == [4, 3, 2]
    assert [usage.allocations for usage in shown] == [1, 1, 1]
    assert shown[0].pseudonym == pseudonym_of(str(int(NOON) + 3604), KEY)
    assert str(int(NOON)) not in repr(shown)
    assert pseudonym_of("1", KEY) != pseudonym_of("1", pseudonym_key(("another secret",)))


def test_both_ends_of_a_call_inside_the_node_pay() -> None:
    node = Node()
    alice, bob = node.client(), node.client(BOB, ends_in=7200)
    alice_relay, bob_relay = alice.allocate(), bob.allocate()
    alice.bind(0x4000, bob_relay)
    bob.bind(0x4000, alice_relay)
    relayed(alice, 3)

    assert [usage.packets for usage in node.machine.usages.list_largest(2, KEY)] == [3, 3]


def test_ended_credential_is_forgotten_and_a_live_one_is_not() -> None:
    client = calling(TrafficLimit())
    relayed(client, 1)
    client.node.now += 3600
    client.node.machine.expire(client.node.now)
    assert len(client.node.machine.usages) == 1
    client.node.now += 86_400
    client.node.machine.expire(client.node.now)

    assert len(client.node.machine.usages) == 0


def test_memory_is_bounded_and_who_holds_nothing_and_used_least_goes_first() -> None:
    table = UsageTable(max_remembered=2)
    for name, size in (("1", 10), ("2", 5)):
        usage = table.hold(name)
        table.admit(usage, size, 0)
        usage.allocations -= 1
    table.hold("3")

    assert len(table) == 2
    assert {usage.bytes for usage in table.list_largest(9, KEY)} == {10, 0}


def test_a_full_memory_is_looked_through_once_for_many_newcomers() -> None:
    table = UsageTable(max_remembered=64)
    lengths = []
    for number in range(200):
        usage = table.hold(str(number))
        table.admit(usage, number, 0)
        usage.allocations -= 1
        lengths.append(len(table))

    assert max(lengths) == 64
    assert lengths[64:70] == [61, 62, 63, 64, 61, 62]
    assert {usage.bytes for usage in table.list_largest(9, KEY)} == set(range(191, 200))


def test_time_that_an_allocate_takes_is_measured() -> None:
    node = Node()
    node.client().allocate()

    assert 0 < node.counters.allocate_worst_seconds <= node.counters.allocate_seconds < 1
