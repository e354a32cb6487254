"""Relay ports: drawn at random, given back, and refused when none is free."""

import socket
from collections.abc import Iterator

import pytest

from turnnode.relay.counters import RelayCounters
from turnnode.relay.memory import NoKeeper
from turnnode.relay.ports import PortRange
from turnnode.relay.sockets import (
    DatagramOutlet,
    RelayAddress,
    RelaySocket,
    RelaySockets,
    bind_datagram,
)
from turnnode.stun.attributes import FAMILY_IPV4, FAMILY_IPV6

HERE = RelayAddress("127.0.0.1", "9.9.9.9")


class Ports:
    """Relay sockets that a test opens; all are closed after it."""

    def __init__(self, *addresses: RelayAddress, ports: PortRange, rest_room: int = 0) -> None:
        self.watched: list[RelaySocket] = []
        self.sockets = RelaySockets(
            addresses=addresses,
            ports=ports,
            counters=RelayCounters(),
            keeper=NoKeeper(),
            opened=self.watched.append,
            closed=self.watched.remove,
            rest_room=rest_room,
        )

    def close(self) -> None:
        for relay in list(self.watched):
            relay.close()


@pytest.fixture
def three_ports() -> Iterator[PortRange]:
    """Find three ports in a row that nobody has."""
    for first in range(20_000, 30_000, 3):
        try:
            for port in range(first, first + 3):
                bind_datagram("127.0.0.1", port, socket.AF_INET).close()
        except OSError:
            continue
        yield PortRange(first, first + 2)
        return


def test_each_port_of_the_range_is_used_once_and_then_none(three_ports: PortRange) -> None:
    ports = Ports(HERE, ports=three_ports)
    opened = [ports.sockets.open(FAMILY_IPV4) for _ in range(3)]

    assert {relay.bound[1] for relay in opened if relay} == set(
        range(three_ports.first, three_ports.last + 1)
    )
    assert ports.sockets.open(FAMILY_IPV4) is None
    ports.close()
    assert ports.sockets.open(FAMILY_IPV4) is not None
    ports.close()


def test_port_that_another_program_holds_is_passed_over_and_used_later(three_ports: PortRange) -> None:
    ports = Ports(HERE, ports=three_ports)
    with bind_datagram("127.0.0.1", three_ports.first, socket.AF_INET):
        assert [ports.sockets.open(FAMILY_IPV4) is not None for _ in range(3)] == [True, True, False]

    assert ports.sockets.open(FAMILY_IPV4) is not None
    ports.close()


def test_published_host_stands_with_the_bound_port(three_ports: PortRange) -> None:
    ports = Ports(HERE, ports=three_ports)
    relay = ports.sockets.open(FAMILY_IPV4)

    assert relay is not None
    assert relay.bound[0] == "127.0.0.1"
    assert relay.published == ("9.9.9.9", relay.bound[1])
    ports.close()


def test_second_address_is_used_when_the_first_is_full(three_ports: PortRange) -> None:
    one_port = PortRange(three_ports.first, three_ports.first)
    ports = Ports(HERE, RelayAddress("127.0.0.2", "127.0.0.2"), ports=one_port)
    opened = [ports.sockets.open(FAMILY_IPV4) for _ in range(3)]

    assert [relay and relay.bound[0] for relay in opened] == ["127.0.0.1", "127.0.0.2", None]
    ports.close()


def test_family_without_an_address_is_not_supported() -> None:
    ports = Ports(HERE, ports=PortRange())

    assert ports.sockets.supports(FAMILY_IPV4)
    assert not ports.sockets.supports(FAMILY_IPV6)
    assert ports.sockets.open(FAMILY_IPV6) is None


def test_ports_come_in_no_order() -> None:
    ports = Ports(HERE, ports=PortRange())
    opened = [ports.sockets.open(FAMILY_IPV4) for _ in range(20)]
    numbers = [relay.bound[1] for relay in opened if relay]
    ports.close()

    assert len(numbers) == 20
    assert numbers != sorted(numbers)


def test_sockets_rest_between_two_owners_and_the_oldest_is_closed_when_too_many_do() -> None:
    ports = Ports(HERE, ports=PortRange(), rest_room=4)
    opened = [ports.sockets.open(FAMILY_IPV4) for _ in range(6)]
    for count, relay in enumerate(opened, 1):
        assert relay is not None
        relay.close()
        assert len(ports.watched) == 6 - max(0, count - 4)

    assert ports.watched == opened[2:]
    assert set(ports.sockets.list_open()) == set(ports.watched)
    ports.sockets.leave()
    assert ports.watched == []


def test_resting_socket_of_the_older_half_is_the_next_while_more_than_half_of_the_room_is_full() -> None:
    ports = Ports(HERE, ports=PortRange(), rest_room=4)
    opened = [ports.sockets.open(FAMILY_IPV4) for _ in range(3)]
    for relay in opened:
        assert relay is not None
        relay.close()

    assert ports.sockets.open(FAMILY_IPV4) in opened[:2]  # three of four rest: the older two may be drawn
    assert ports.sockets.open(FAMILY_IPV4) not in opened  # two rest, which is half: a new one
    ports.sockets.leave()


def test_any_resting_socket_will_do_when_no_port_is_free(three_ports: PortRange) -> None:
    ports = Ports(HERE, ports=three_ports, rest_room=4)
    opened = [ports.sockets.open(FAMILY_IPV4) for _ in range(3)]
    last = opened[2]
    assert last is not None
    last.close()

    assert ports.sockets.open(FAMILY_IPV4) is last
    assert ports.sockets.open(FAMILY_IPV4) is None
    ports.sockets.leave()
    assert ports.watched == []


@pytest.mark.parametrize(("first", "last"), [(1023, 2000), (2000, 1999), (2000, 65_536)])
def test_range_that_is_empty_or_too_wide_cannot_be_built(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="upwards"):
        PortRange(first, last)


@pytest.mark.parametrize("address", [("127.0.0.1", 0), ("::1", 9)])
def test_datagram_that_the_system_does_not_take_is_counted(address: tuple[str, int]) -> None:
    counters = RelayCounters()
    with bind_datagram("127.0.0.1", 0, socket.AF_INET) as sock:
        DatagramOutlet(sock, counters).send(b"x", address)

    assert counters.dropped_unsent == 1


@pytest.mark.parametrize("sizes", [(160, 160, 160), (160, 160, 7), (1200,) * 40, (30_000, 30_000, 30_000)])
def test_datagrams_that_are_sent_together_arrive_apart(sizes: tuple[int, ...]) -> None:
    with (
        bind_datagram("127.0.0.1", 0, socket.AF_INET) as sender,
        bind_datagram("127.0.0.1", 0, socket.AF_INET) as receiver,
    ):
        counters = RelayCounters()
        datagrams = [bytes([place]) * size for place, size in enumerate(sizes)]
        # The last ones are more than the kernel takes at once: they go one by one.
        DatagramOutlet(sender, counters).send_together(datagrams, receiver.getsockname())

        assert [receiver.recv(65_536) for _ in sizes] == datagrams
        assert counters.dropped_unsent == 0
