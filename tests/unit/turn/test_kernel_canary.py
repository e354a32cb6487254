"""A rung that relays nothing is found out by the first calls, and a live one never is."""

import pytest

from support.turn_machine import ALICE, PEER, SERVER, Node
from turnnode.kernel.canary import MAX_STRAY_SAMPLES, Canary
from turnnode.relay.data_path import SAMPLE
from turnnode.stun.channel_data import encode_channel_data

CHANNEL = 0x4000


def test_rung_is_dead_after_so_many_strays_and_not_before() -> None:
    canary = Canary(lambda: 0)
    verdicts = [canary.is_dead(is_ready=True) for _ in range(MAX_STRAY_SAMPLES)]

    assert verdicts == [False] * (MAX_STRAY_SAMPLES - 1) + [True]


def test_rung_that_has_relayed_one_packet_is_never_dead() -> None:
    relayed = 0
    canary = Canary(lambda: relayed)
    for _ in range(MAX_STRAY_SAMPLES - 1):
        assert not canary.is_dead(is_ready=True)
    relayed = 1
    assert not canary.is_dead(is_ready=True)
    relayed = 0

    assert canary.is_proved
    assert not any(canary.is_dead(is_ready=True) for _ in range(2 * MAX_STRAY_SAMPLES))


def test_datagrams_of_flows_that_the_kernel_has_not_yet_say_nothing() -> None:
    canary = Canary(lambda: 0)

    assert not any(canary.is_dead(is_ready=False) for _ in range(10 * MAX_STRAY_SAMPLES))


@pytest.mark.parametrize(("count", "seen"), [(SAMPLE - 1, 0), (SAMPLE, 1), (2 * SAMPLE, 2)])
def test_data_path_is_told_of_one_datagram_in_a_sample(count: int, seen: int) -> None:
    node = Node()
    client = node.client()
    client.allocate()
    client.bind(CHANNEL, PEER)
    for _ in range(count):
        client.send(encode_channel_data(CHANNEL, b"data"))

    assert node.data_path.seen == [(ALICE, SERVER, CHANNEL)] * seen
