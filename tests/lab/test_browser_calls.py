"""Calls between Chromium browsers with the servers that core hands out, also while a TURN node is down."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.browser_calls import call, open_browsers
from support.deltachat import Client
from support.deployed_fleet import ADDRESSES
from support.lab import PROGRAMS, TURN_NAME, LabFleet

pytestmark = [pytest.mark.lab, pytest.mark.netns]

SECONDS = 5


@pytest.fixture
def one_turn_node_down(fleet: LabFleet) -> Iterator[str]:
    fleet.stop("turn1")
    yield "turn1"
    fleet.start("turn1")
    fleet.wait_until_ready()


def check_call(fleet: LabFleet, pair: tuple[Client, Client], folder: Path) -> tuple[float, set[str]]:
    """Let browsers with the accounts' servers call one another; return seconds to connect, relays used."""
    with open_browsers(fleet.network, folder) as pages:
        connected_after, figures = call(pages, [client.ice_servers() for client in pair], SECONDS)
    for got in figures:
        assert got["state"] == "connected"
        assert got["lost"] == 0
        assert got["packets"] > SECONDS * 40
        assert got["frames"] > SECONDS * 5
    return connected_after, {address for got in figures for address in got["relays"]}


def test_call_between_browsers(
    fleet: LabFleet, pair: tuple[Client, Client], tmp_path: Path, show: Callable[[str], None]
) -> None:
    connected_after, relays = check_call(fleet, pair, tmp_path)

    show(f"Chromium calls Chromium: connected after {connected_after:.2f} s, relays {sorted(relays)}")


def test_next_call_works_while_a_turn_node_is_down(
    fleet: LabFleet,
    pair: tuple[Client, Client],
    one_turn_node_down: str,
    tmp_path: Path,
    show: Callable[[str], None],
) -> None:
    connected_after, relays = check_call(fleet, pair, tmp_path)
    show(f"with {one_turn_node_down} down: connected after {connected_after:.2f} s, relays {sorted(relays)}")

    assert ADDRESSES[one_turn_node_down] not in relays


def test_probe_says_which_address_is_dead(
    fleet: LabFleet, pair: tuple[Client, Client], one_turn_node_down: str, show: Callable[[str], None]
) -> None:
    (server,) = pair[0].ice_servers()
    credentials = ["--username", server["username"], "--password", server["credential"], "--seconds", "1"]
    ended = fleet.network.run(
        "a", str(PROGRAMS / "turnnode"), "probe", f"turn:{TURN_NAME}:3478", *credentials, "--json"
    )
    addresses, result = map(json.loads, ended.stdout.splitlines())
    dead = {each["url"] for each in addresses["addresses"] if each["problem"]}
    show(f"probe of {TURN_NAME} with {one_turn_node_down} down: dead {sorted(dead)}")

    assert ended.returncode == 1
    assert dead == {f"turn:{ADDRESSES[one_turn_node_down]}:3478", "turn:[2001:db8::31]:3478"}
    assert len(addresses["addresses"]) == 4
    assert result["loss_percent"] == 0
