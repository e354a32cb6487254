"""Where a service listens when it is moved, and when that cannot be."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodelink.contract.ports import PortReport
from nodelink.daemon.errors import HostError
from nodelink.daemon.listeners import listen_tcp
from nodelink.daemon.movable_port import MovablePort, choose_port
from nodelink.daemon.service_manager import Systemd

HERE = "127.0.0.1"
VARIABLE = "mailnode_alternate_ports"
ports = st.integers(1, 65535)


@given(wanted=st.none() | ports, configured=ports, alternates=st.frozensets(ports, max_size=4))
def test_chosen_port_is_open_and_a_problem_is_told_exactly_if_it_is_not_the_wanted_one(
    wanted: int | None, configured: int, alternates: frozenset[int]
) -> None:
    number, problem = choose_port(wanted, configured, alternates, VARIABLE)

    assert number in {configured, *alternates}
    assert (problem is None) is (number == (configured if wanted is None else wanted))


def test_port_that_is_not_open_is_refused_with_the_variable() -> None:
    number, problem = choose_port(8993, 993, {8994}, VARIABLE)

    assert number == 993
    assert problem == (
        "Port 8993 is not open on this host. Add it to mailnode_alternate_ports, or reset the port."
    )


@pytest.fixture
def free_ports() -> tuple[int, int]:
    with socket.create_server((HERE, 0)) as one, socket.create_server((HERE, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    yield sockets
    for one in sockets:
        one.close()


def make_port(configured: int, alternate: int, opened: list[socket.socket]) -> tuple[MovablePort, Systemd]:
    manager = Systemd(address="", watchdog_seconds=None)

    def bind(port: int) -> list[socket.socket]:
        sockets = listen_tcp(manager, "imaps", [HERE], port)
        opened.extend(sockets)
        return sockets

    port = MovablePort(
        name="imap_tls", configured=configured, alternates=[alternate], variable=VARIABLE, bind=bind
    )
    return port, manager


def test_port_moves_and_comes_back(free_ports: tuple[int, int], opened: list[socket.socket]) -> None:
    configured, alternate = free_ports
    port, _ = make_port(configured, alternate, opened)
    (first,) = port.open()
    assert port.move() is None

    port.wanted = alternate
    moved = port.move()
    assert moved is not None
    assert moved[0].getsockname()[1] == port.number == port.tell().effective == alternate
    first.close()

    port.wanted = None
    assert port.move() is not None
    assert (port.number, port.problem) == (configured, None)


def test_port_in_use_leaves_the_service_where_it_is_until_it_is_free(
    free_ports: tuple[int, int], opened: list[socket.socket]
) -> None:
    configured, alternate = free_ports
    port, manager = make_port(configured, alternate, opened)
    port.open()
    port.wanted = alternate
    with socket.create_server((HERE, alternate)):
        assert port.move() is None
        assert port.number == configured
        assert port.problem == (
            f"Cannot listen on {HERE} port {alternate}: Address already in use. "
            f"The service stays at port {configured}."
        )
        assert list(manager.kept) == [f"imaps-{configured}"]

    assert port.move() is not None
    assert port.tell() == PortReport(
        name="imap_tls", configured=configured, effective=alternate, problem=None
    )


def test_service_starts_at_the_configured_port_if_the_wanted_one_is_in_use(
    free_ports: tuple[int, int], opened: list[socket.socket]
) -> None:
    configured, alternate = free_ports
    port, _ = make_port(configured, alternate, opened)
    port.wanted = alternate
    with socket.create_server((HERE, alternate)):
        (first,) = port.open()

    assert first.getsockname()[1] == port.number == configured
    assert port.problem is not None
    assert "Address already in use" in port.problem


def test_service_whose_configured_port_is_in_use_does_not_start(
    free_ports: tuple[int, int], opened: list[socket.socket]
) -> None:
    configured, alternate = free_ports
    port, _ = make_port(configured, alternate, opened)
    with socket.create_server((HERE, configured)), pytest.raises(HostError, match="Cannot listen"):
        port.open()
