"""Ports that are moved at run time on machines with a firewall: by the command, the RPC and the REST API."""

import json
import re
import secrets
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from support.calls import call_between, read_credentials
from support.clocks import wait_until
from support.deltachat import Client
from support.deployed_fleet import ADDRESSES, run_on
from support.lab import LabFleet, OpenCore
from support.mail_clients import open_imap, trusting_context
from support.pages_login_link import read_login_link
from support.rpc_reference import path_of

pytestmark = [pytest.mark.lab, pytest.mark.netns]

IMAPS, SMTPS, TURN_PORT = 993, 465, 3478
MOVED_IMAPS, MOVED_SMTPS, MOVED_TURN = 8993, 8465, 443  # those that inventories/lab opens besides
CLOSED = 8994
MOVED_SECONDS = 10
STARTED_SECONDS = 30
CALL_SECONDS = 5
PACKETS_PER_SECOND = 50
RELAY_PORT = re.compile(r":(?:49[1-9]|5\d\d|6\d\d)\d\d\b")
TURN_NODES = ("turn1", "turn2")


@pytest.fixture(scope="module")
def api(fleet: LabFleet) -> Iterator[httpx.Client]:
    """A client of the control plane, signed in; use it inside the network."""
    made = json.loads(fleet.madfleet("admin-token", "--name", f"ports-{secrets.token_hex(3)}", "--json"))
    headers = {"authorization": f"Bearer {made['token']}", "if-match": "*"}
    url = f"https://{ADDRESSES['control']}"
    with httpx.Client(base_url=url, headers=headers, verify=trusting_context(), trust_env=False) as client:
        yield client


def set_by_rpc(fleet: LabFleet, api: httpx.Client, node: str, resource: str, number: int) -> tuple[int, str]:
    """Do what the stock admin web's page of ports does; return status and error."""
    envelope = {
        "method": "POST",
        "resource": f"/admin/settings/{resource}",
        "headers": {"Authorization": api.headers["authorization"]},
        "body": {"action": "set", "value": str(number)},
    }
    answer = fleet.network.call("a", lambda: api.post(path_of(node), json=envelope)).json()
    return answer["status"], str(answer.get("error") or "")


def move_turn(fleet: LabFleet, api: httpx.Client, number: int | None) -> None:
    """Move the port of all TURN nodes, `None` for back."""

    def change() -> None:
        for node in TURN_NODES:
            api.patch(f"/api/v1/nodes/{node}/ports", json={"turn": number}).raise_for_status()

    fleet.network.call("a", change)


def read_autoconfig(fleet: LabFleet, kind: str) -> list[int]:
    """Read which ports a mail node tells apps that ask for its autoconfig."""
    url = f"https://{ADDRESSES['mail1']}/.well-known/autoconfig/mail/config-v1.1.xml"
    told = fleet.network.run("a", "curl", "--silent", "--fail", "--insecure", url).stdout
    return [int(port) for port in re.findall(rf'Server type="{kind}">.*?<port>(\d+)<', told, re.DOTALL)]


def takes(fleet: LabFleet, port: int) -> bool:
    """Tell whether the mail node takes a connection, as whoever is outside sees it."""

    def knock() -> bool:
        try:
            socket.create_connection((ADDRESSES["mail1"], port), timeout=2).close()
        except OSError:
            return False
        return True

    return fleet.network.call("a", knock)


def count_sessions(port: int) -> int:
    return len(run_on("mail1", f"ss -Htn state established sport = :{port}").splitlines())


def count_relay_sockets() -> int:
    """Count the sockets of the TURN nodes from whose ports they relay."""
    return sum(len(RELAY_PORT.findall(run_on(node, "ss -Hlun"))) for node in TURN_NODES)


def chat(one: Client, other: Client, way: int) -> None:
    text = f"by port {secrets.token_hex(4)}"
    one.send(way, text)
    heard = other.wait_for_message(text)
    other.accept(heard["chatId"])
    answer = f"back {secrets.token_hex(4)}"
    other.send(heard["chatId"], answer)
    assert one.wait_for_message(answer)["showPadlock"]


def test_imap_is_moved_by_the_command_and_old_sessions_stay(fleet: LabFleet, device: OpenCore) -> None:
    before, after = device("a").add_client(), device("b").add_client()
    before.configure_by_qr(fleet.register()["dclogin_url"])
    account = fleet.register()
    session = fleet.network.call("a", lambda: open_imap(account["email"], account["password"]))

    with session, ExitStack() as stack:
        fleet.madfleet("ports", "set", "mail1", "imap_tls", str(MOVED_IMAPS))
        stack.callback(fleet.madfleet, "ports", "reset", "mail1", "imap_tls")
        wait_until(lambda: takes(fleet, MOVED_IMAPS) and not takes(fleet, IMAPS), MOVED_SECONDS)
        link = fleet.register()["dclogin_url"]
        assert read_login_link(link).imap[1] == MOVED_IMAPS
        assert MOVED_IMAPS in (told := read_autoconfig(fleet, "imap"))
        assert IMAPS not in told
        after.configure_by_qr(link)
        assert count_sessions(MOVED_IMAPS) >= 1
        chat(after, before, after.join(before.invite()))  # `before` hears of it by the former port
        assert session.noop()[0] == "OK"

    wait_until(lambda: takes(fleet, IMAPS) and not takes(fleet, MOVED_IMAPS), MOVED_SECONDS)
    assert read_login_link(fleet.register()["dclogin_url"]).imap[1] == IMAPS


def test_smtp_is_moved_by_the_rpc_to_open_ports_only(
    fleet: LabFleet, device: OpenCore, api: httpx.Client
) -> None:
    client = device().add_client()
    status, error = set_by_rpc(fleet, api, "mail1", "submission_tls_port", CLOSED)
    assert status == 400
    assert "mailnode_alternate_ports" in error

    with ExitStack() as stack:
        assert set_by_rpc(fleet, api, "mail1", "submission_tls_port", MOVED_SMTPS) == (200, "")
        stack.callback(fleet.madfleet, "ports", "reset", "mail1", "submission_tls")
        wait_until(lambda: takes(fleet, MOVED_SMTPS) and not takes(fleet, SMTPS), MOVED_SECONDS)
        link = fleet.register()["dclogin_url"]
        assert read_login_link(link).smtp[1] == MOVED_SMTPS
        assert MOVED_SMTPS in read_autoconfig(fleet, "smtp")
        client.configure_by_qr(link)
        client.send(client.chat_with_self(), "note")
        client.wait_for("MsgDelivered")

    wait_until(lambda: takes(fleet, SMTPS) and not takes(fleet, MOVED_SMTPS), MOVED_SECONDS)


def test_call_goes_on_while_turn_moves_and_the_next_one_goes_there(
    fleet: LabFleet, api: httpx.Client
) -> None:
    def read_way() -> list[str]:
        account = fleet.register()
        return read_credentials(fleet, account["email"], account["password"])

    def call(ways: list[list[str]], seconds: int) -> None:
        caller, callee = ways
        result = call_between(
            fleet, caller, callee, policy="relay", seconds=seconds, packets_per_second=PACKETS_PER_SECOND
        )
        for way in (result["there"], result["back"]):
            assert (way["data_lost"], way["audio_lost"]) == (0, 0)
            assert way["data_sent"] >= 0.9 * seconds * PACKETS_PER_SECOND

    ways, idle_sockets = [read_way(), read_way()], count_relay_sockets()
    assert all(way[0].endswith(f":{TURN_PORT}") for way in ways)
    with ThreadPoolExecutor(1) as beside, ExitStack() as stack:
        calling = beside.submit(call, ways, CALL_SECONDS)
        wait_until(lambda: count_relay_sockets() > idle_sockets, STARTED_SECONDS)
        stack.callback(move_turn, fleet, api, None)
        move_turn(fleet, api, MOVED_TURN)
        wait_until(lambda: read_way()[0].endswith(f":{MOVED_TURN}"), MOVED_SECONDS)
        calling.result()
        call([read_way(), read_way()], 1)

    wait_until(lambda: read_way()[0].endswith(f":{TURN_PORT}"), MOVED_SECONDS)
