"""A fleet whose nodes are addresses, without a domain: real clients on two of its nodes talk and call."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from fleet_plan import FleetPlan
from support.calls import PROBE, hold_call
from support.deltachat import Client, Core, open_core
from support.lab import NEWEST_CORE
from support.whole_fleet import WholeFleet, running_fleet, trust_all

pytestmark = pytest.mark.lab

SECONDS = 5
PACKETS_PER_SECOND = 50


@pytest.fixture(scope="module", params=["127.0.0.2", "::1"])
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeFleet]:
    with running_fleet(tmp_path_factory.mktemp("fleet"), request.param) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def pair(fleet: WholeFleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    """One client on each mail node, who have scanned one another."""
    with open_core([NEWEST_CORE], tmp_path_factory.mktemp("clients") / "device") as core:
        alice, bob = (register(core, plan) for plan in (fleet.plan, fleet.second))
        bob.join(alice.invite())
        yield alice, bob


def register(core: Core, plan: FleetPlan) -> Client:
    answer = httpx.post(f"{plan.mail_url}/new", verify=trust_all(), trust_env=False)
    client = core.add_client()
    client.configure_by_qr(answer.raise_for_status().json()["dclogin_url"])
    assert client.address.endswith(f"@{plan.mail_domain.lower()}")
    return client


def test_message_reaches_the_other_node_and_is_answered(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    bob.send(bob.chat_with(alice.address), "hello")
    assert alice.wait_for_message("hello")["error"] is None

    alice.send(alice.chat_with(bob.address), "hello to you")
    assert bob.wait_for_message("hello to you")["error"] is None


def test_call_goes_through_the_turn_node_that_is_an_address(
    fleet: WholeFleet, pair: tuple[Client, Client], show: Callable[[str], None]
) -> None:
    load = ["--seconds", str(SECONDS), "--packets-per-second", str(PACKETS_PER_SECOND), "--policy", "relay"]
    probes = []
    for client in pair:
        (server,) = client.ice_servers()
        assert f"turn:127.0.0.1:{fleet.plan.ports.turn}" in server["urls"]
        secrets = ["--username", server["username"], "--password", server["credential"]]
        probes.append([*PROBE, server["urls"][0], *secrets, *load])

    result = hold_call(*probes, within_seconds=30)

    show(f"call between {' and '.join(client.address for client in pair)}: {result}")
    for way in (result["there"], result["back"]):
        assert (way["data_lost"], way["audio_lost"]) == (0, 0)
        assert way["data_sent"] >= 0.9 * SECONDS * PACKETS_PER_SECOND
    assert {result["local_candidate"], result["remote_candidate"]} == {"relay"}
