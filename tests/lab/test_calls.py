"""Calls between two who cannot reach one another, through our TURN node, made by aiortc."""

import socket
from collections.abc import Callable

import pytest

from support.calls import call_between, read_credentials
from support.deltachat import Client
from support.lab import MAIL2_NAME, MAIL_NAME, TURN, LabFleet

pytestmark = [pytest.mark.lab, pytest.mark.netns]

SECONDS = 20
PACKETS_PER_SECOND = 50
CLIENT_B = "198.51.100.102"
SSH = 22


def register_caller(fleet: LabFleet, host: str) -> list[str]:
    account = fleet.register(host)
    return read_credentials(fleet, account["email"], account["password"])


@pytest.mark.parametrize("policy", ["all", "relay"])
def test_call_across_nodes_loses_nothing(fleet: LabFleet, policy: str, show: Callable[[str], None]) -> None:
    result = call_between(
        fleet,
        register_caller(fleet, MAIL_NAME),
        register_caller(fleet, MAIL2_NAME),
        policy=policy,
        seconds=SECONDS,
        packets_per_second=PACKETS_PER_SECOND,
    )
    show(f"call with ICE policy {policy}: {result}")

    for way in (result["there"], result["back"]):
        assert (way["data_lost"], way["audio_lost"]) == (0, 0)
        assert way["data_sent"] >= 0.9 * SECONDS * PACKETS_PER_SECOND
        assert way["audio_received"] >= 0.9 * SECONDS * 50
    assert "relay" in {result["local_candidate"], result["remote_candidate"]}


@pytest.mark.parametrize(("host", "is_reachable"), [(TURN, True), (CLIENT_B, False)])
def test_client_reaches_the_fleet_and_not_the_other_client(
    fleet: LabFleet, host: str, is_reachable: bool
) -> None:
    def knock() -> bool:
        try:
            socket.create_connection((host, SSH), timeout=2).close()
        except OSError:
            return False
        return True

    assert fleet.network.call("a", knock) is is_reachable


def test_delta_chat_rings_with_the_offer_of_a_call(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    chat = bob.chat_with(alice.address)
    alice.accept(alice.chat_with(bob.address))
    bob.send(chat, "hello")
    alice.wait_for_message("hello")
    call = bob.rpc.place_outgoing_call(bob.account, chat, "v=0 offer", False)  # noqa: FBT003 - the RPC's signature
    incoming = alice.wait_for("IncomingCall")
    assert incoming["place_call_info"] == "v=0 offer"
    alice.rpc.accept_incoming_call(alice.account, incoming["msg_id"], "v=0 answer")

    assert bob.wait_for("OutgoingCallAccepted")["accept_call_info"] == "v=0 answer"
    bob.rpc.end_call(bob.account, call)
    alice.wait_for("CallEnded")
