"""What strangers can reach on each machine, from a computer of theirs: what the inventory declares."""

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from lab_network import PREFIX_IPV6
from support.declared_ports import DeclaredPorts, read_declared_ports
from support.deployed_fleet import ADDRESSES, run_on
from support.lab import LabFleet
from support.port_scan import find_open_ports

pytestmark = [pytest.mark.lab, pytest.mark.netns]

ALL_PORTS = range(1, 65_536)


@pytest.fixture(scope="module")
def declared() -> dict[str, DeclaredPorts]:
    return {host: read_declared_ports(host) for host in ADDRESSES}


def test_only_declared_tcp_ports_are_open(
    fleet: LabFleet, declared: dict[str, DeclaredPorts], show: Callable[[str], None]
) -> None:
    found = scan(fleet, socket.SOCK_STREAM, dict.fromkeys(ADDRESSES, ALL_PORTS))
    show(f"open TCP ports, of all 65,535 by IPv4 and IPv6: {found}")

    assert found == {host: [declared[host].tcp] * 2 for host in ADDRESSES}


def test_only_declared_udp_ports_are_open(
    fleet: LabFleet, declared: dict[str, DeclaredPorts], show: Callable[[str], None]
) -> None:
    # Of the relays' ports, the first and the last that nobody holds: those that are held answer no stranger.
    ends = {host: find_free_ends(host, declared[host].relay) for host in ADDRESSES}
    wanted = {
        host: [*(port for port in ALL_PORTS if port not in declared[host].relay), *ends[host]]
        for host in ADDRESSES
    }

    found = scan(fleet, socket.SOCK_DGRAM, wanted)
    show(f"open UDP ports, but for the relays' between the last two, by IPv4 and IPv6: {found}")

    assert found == {host: [declared[host].udp + ends[host]] * 2 for host in ADDRESSES}


@pytest.mark.usefixtures("fleet")
def test_turn_reaches_its_name_server_whenever_it_asks() -> None:
    """What relays send to name servers is dropped; nothing else of the node may come from a relay's port."""
    look_up = "for i in $(seq 40); do getent hosts _control.test >/dev/null || echo failed; done"

    assert run_on("turn1", f"setpriv --reuid turnnode --clear-groups bash -c '{look_up}'") == ""


def scan(
    fleet: LabFleet, kind: socket.SocketKind, ports: Mapping[str, Sequence[int]]
) -> dict[str, list[list[int]]]:
    """Scan machines at the same time, from a client's computer, by IPv4 and by IPv6."""
    with ThreadPoolExecutor(2 * len(ports)) as executor:

        def begin(host: str, address: str) -> Callable[[], list[int]]:
            find = partial(find_open_ports, kind, address, ports[host])
            return executor.submit(fleet.network.call, "a", find).result

        scans = {host: [begin(host, address) for address in list_addresses(host)] for host in ports}
        return {host: [read() for read in reads] for host, reads in scans.items()}


def list_addresses(host: str) -> list[str]:
    """Tell a machine's IPv4 and IPv6 address."""
    return [ADDRESSES[host], f"{PREFIX_IPV6}::{ADDRESSES[host].rpartition('.')[2]}"]


def find_free_ends(host: str, ports: range) -> list[int]:
    """Find the first and the last of some UDP ports that nobody has bound; none of none."""
    lines = run_on(host, "ss --listening --udp --numeric --no-header").splitlines()
    bound = {int(line.split()[3].rpartition(":")[2]) for line in lines}
    ways: Iterable[Iterable[int]] = (ports, reversed(ports)) if ports else ()
    return [next(port for port in way if port not in bound) for way in ways]
