"""Apps are told to call by another port of the TURN node, and calls go there: all by the real programs."""

import asyncio
import json
from typing import Any

import pytest

from support.clocks import wait_until
from support.rpc_reference import Rpc
from support.rpc_users import User
from support.turn_client import TurnClient, TurnCredential
from support.whole_fleet import WholeFleet, bearer

IN_FORCE_SECONDS = 5

pytestmark = pytest.mark.timeout(120)


def change_policy(fleet: WholeFleet, place: str, port: int | None) -> tuple[int, dict[str, Any]]:
    headers = {**bearer(fleet.token), "if-match": "*", "content-type": "application/json"}
    content = json.dumps({"turn_announced_port": port}).encode()
    status, _, answer = fleet.send("PATCH", f"/api/v1{place}", content, headers)
    return status, json.loads(answer)


def read_entry(user: User) -> tuple[int, TurnCredential]:
    entry = user.read_turn()
    assert entry is not None
    _, port, name, password = entry.split(":")
    return int(port), TurnCredential(name, password)


def make_user(rpc: Rpc, node: str) -> User:
    made = Rpc(rpc.fleet, rpc.token, node).post("/admin/accounts", status=201)
    return User(rpc.fleet, made["email"], made["password"])


async def call(fleet: WholeFleet, port: int, credential: TurnCredential) -> None:
    """Get a relay address as an app does."""
    async with TurnClient((fleet.plan.turn_address, port), "the fleet's, which no app knows") as client:
        client.writer.credential = credential
        await client.allocate()


def test_app_is_told_the_port_that_the_policy_names_and_calls_there(rpc: Rpc, fleet: WholeFleet) -> None:
    usual, other = fleet.plan.ports.turn, fleet.other_turn_port
    first, second = make_user(rpc, "mail1"), make_user(rpc, "mail2")
    assert read_entry(first)[0] == read_entry(second)[0] == usual

    assert change_policy(fleet, "/nodes/mail1/policy", other)[0] == 200
    wait_until(lambda: read_entry(first)[0] == other, IN_FORCE_SECONDS)
    assert read_entry(second)[0] == usual
    for user in (first, second):
        asyncio.run(call(fleet, *read_entry(user)))

    assert change_policy(fleet, "/policy", other)[0] == 200
    wait_until(lambda: read_entry(second)[0] == other, IN_FORCE_SECONDS)
    assert change_policy(fleet, "/policy", 0)[0] == 200
    wait_until(lambda: read_entry(second)[0] == usual, IN_FORCE_SECONDS)
    assert read_entry(first)[0] == other
    assert change_policy(fleet, "/nodes/mail1/policy", None)[0] == 200
    wait_until(lambda: read_entry(first)[0] == usual, IN_FORCE_SECONDS)


@pytest.mark.parametrize("place", ["/policy", "/nodes/mail1/policy"])
def test_port_at_which_no_turn_node_listens_is_refused(fleet: WholeFleet, place: str) -> None:
    status, problem = change_policy(fleet, place, fleet.alternate_port)

    assert (status, problem["type"]) == (400, "/problems/turn_port_silent")
    assert "turnnode_other_udp_ports" in problem["title"]
