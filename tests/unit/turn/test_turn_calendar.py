"""The calendar of a host is set forward or back: calls go on, and only credentials follow it."""

import pytest

from support.turn_client import UDP, lifetime_of, status_of
from support.turn_machine import PEER, Client, Node
from turnnode.relay.limiter import ReplyLimit
from turnnode.stun.attributes import AttributeType, encode_lifetime
from turnnode.stun.channel_data import encode_channel_data
from turnnode.stun.message import Method

CHANNEL = 0x4000
DAY_SECONDS = 86_400
STEPS = [-DAY_SECONDS, -3600, -1, 1, 3600, DAY_SECONDS]


def calling(node: Node) -> Client:
    client = node.client(ends_in=5 * DAY_SECONDS)
    client.allocate()
    assert client.bind(CHANNEL, PEER) == 200
    return client


@pytest.mark.parametrize("step", STEPS)
def test_step_of_the_calendar_does_not_end_a_call(step: int) -> None:
    node = Node()
    client = calling(node)
    node.calendar_step = step
    node.machine.expire(node.now)

    assert client.send(encode_channel_data(CHANNEL, b"x")) is not None
    assert status_of(client.ask(Method.REFRESH)) == 200


@pytest.mark.parametrize("step", STEPS)
def test_step_of_the_calendar_does_not_make_an_allocation_last_longer(step: int) -> None:
    node = Node()
    client = calling(node)
    node.calendar_step = step
    node.now += 600

    assert client.send(encode_channel_data(CHANNEL, b"x")) is None


@pytest.mark.parametrize("step", STEPS)
def test_step_of_the_calendar_does_not_silence_the_node(step: int) -> None:
    node = Node()
    limit = ReplyLimit()
    for _ in range(limit.burst):
        assert node.client().ask(Method.BINDING) is not None
    node.calendar_step = step
    node.now += limit.burst / limit.per_second

    assert node.client().ask(Method.BINDING) is not None


def test_credential_ends_by_the_calendar() -> None:
    node = Node()
    client = node.client(ends_in=100)
    node.calendar_step = 40
    hour = (AttributeType.LIFETIME, encode_lifetime(3600))

    assert lifetime_of(client.ask(Method.ALLOCATE, UDP, hour)) == 60
    node.calendar_step = 100
    assert status_of(client.ask(Method.REFRESH)) == 401
