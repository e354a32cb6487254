"""What strangers can reach on each machine, from a computer of theirs."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from support.deployed_fleet import ADDRESSES, run_on
from support.lab import LabFleet
from support.port_scan import find_open_tcp_ports, find_open_udp_ports

pytestmark = [pytest.mark.lab, pytest.mark.netns]

MAIL_PORTS = [22, 25, 80, 143, 443, 465, 587, 993, 8465, 8993]  # the last two by mailnode_alternate_ports
TURN_PORTS = [22, 3478]
OPENINGS = {
    "control": [22, 80, 443],
    "mail1": MAIL_PORTS,
    "mail2": MAIL_PORTS,
    "turn1": TURN_PORTS,
    "turn2": TURN_PORTS,
}
RELAY_PORTS = range(49_152, 65_536), range(65_535, 49_151, -1)
"""From either end."""


def test_only_declared_tcp_ports_are_open(fleet: LabFleet, show: Callable[[str], None]) -> None:
    found = scan(fleet, lambda host: find_open_tcp_ports(ADDRESSES[host]), ADDRESSES)
    show(f"open TCP ports, of all 65,535: {found}")

    assert found == OPENINGS


def test_only_declared_udp_ports_are_open(fleet: LabFleet) -> None:
    hosts = ["turn1", "mail1", "control"]
    # A port that a relay holds for the next call is bound, and answers no stranger.
    bound = {host: list_bound_udp_ports(host) for host in hosts}
    first, last = (
        next(port for port in ports if not any(port in each for each in bound.values()))
        for ports in RELAY_PORTS
    )
    probes = [53, 123, 443, 3477, 3478, 3479, 5349, RELAY_PORTS[0][0] - 1, first, last]

    found = scan(fleet, lambda host: find_open_udp_ports(ADDRESSES[host], probes), hosts)

    # 443 by turnnode_alternate_ports
    assert found == {"turn1": [443, 3478, first, last], "mail1": [], "control": []}


@pytest.mark.usefixtures("fleet")
def test_turn_reaches_its_name_server_whenever_it_asks() -> None:
    """What relays send to name servers is dropped; nothing else of the node may come from a relay's port."""
    look_up = "for i in $(seq 40); do getent hosts _control.test >/dev/null || echo failed; done"

    assert run_on("turn1", f"setpriv --reuid turnnode --clear-groups bash -c '{look_up}'") == ""


def scan(fleet: LabFleet, find: Callable[[str], list[int]], hosts: Iterable[str]) -> dict[str, list[int]]:
    """Scan machines at the same time, from a client's computer."""
    with ThreadPoolExecutor() as executor:
        scans = {host: executor.submit(fleet.network.call, "a", partial(find, host)) for host in hosts}
        return {host: each.result() for host, each in scans.items()}


def list_bound_udp_ports(host: str) -> set[int]:
    lines = run_on(host, "ss --listening --udp --numeric --no-header").splitlines()
    return {int(line.split()[3].rpartition(":")[2]) for line in lines}
