"""People whose profiles are on two nodes of the fleet go on when one of them dies."""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest

from support.clocks import wait_until
from support.deltachat import Client, JsonRpcError
from support.lab import CONTROL_NAME, MAIL2_NAME, MAIL_NAME, LabFleet, OpenCore

pytestmark = [pytest.mark.lab, pytest.mark.netns]

FAILED_OVER_SECONDS = 30
"""Delta Chat takes another relay when it has failed twice at one: half a minute after the first time (30.4 s
were seen), or at once when it hears that its network has changed."""


@pytest.fixture
def both_nodes(fleet: LabFleet) -> Iterator[LabFleet]:
    """Lend the fleet, and leave it as it was."""
    yield fleet
    fleet.start("mail1")
    fleet.wait_until_ready()


def find_links(fleet: LabFleet, url: str) -> list[str]:
    """Press the button on a page; return the links to apps that the new account's page shows, in order."""
    page = fleet.network.run(
        *("a", "curl", "--silent", "--fail", "--insecure", "-X", "POST", "-d", "", f"https://{url}")
    ).stdout
    return [unescape(link) for link in re.findall(r'href="(dc(?:login|account):[^"]+)"', page)]


def read_addresses(client: Client) -> set[str]:
    return {str(transport["addr"]) for transport in client.rpc.list_transports(client.account)}


def read_texts(client: Client, chat: int) -> list[str]:
    """List what a chat shows, without what the app itself says in it."""
    ids = client.rpc.get_message_ids(client.account, chat, False, False)  # noqa: FBT003 - the RPC's signature
    messages: list[dict[str, Any]] = [client.rpc.get_message(client.account, number) for number in ids]
    return [message["text"] for message in messages if not message["isInfo"]]


def is_done(fleet: LabFleet, node: str) -> bool:
    """Ask a node whether nothing waits for others."""
    waiting: list[object] = json.loads(fleet.madfleet("queue", "show", node, "--json"))
    return not waiting


def try_until(is_true: Callable[[], bool], *clients: Client) -> None:
    """Wait, while the clients hear that their network has changed, as phones do when something is wrong."""

    def look() -> bool:
        for client in clients:
            client.rpc.maybe_network()
        time.sleep(0.5)
        return is_true()

    wait_until(look, FAILED_OVER_SECONDS)


def test_both_go_on_by_their_backup_addresses_when_a_node_dies(
    both_nodes: LabFleet, device: OpenCore, show: Callable[[str], None]
) -> None:
    alice, bob = device("a").add_client(), device("b").add_client()
    for client in (alice, bob):
        first, backup = find_links(both_nodes, f"{MAIL_NAME}/register")
        assert backup == f"dcaccount:https://{MAIL2_NAME}/new"
        for link in (first, backup):
            client.rpc.add_transport_from_qr(client.account, link)
        client.go_online()
        client.wait_for("ImapInboxIdle")
        assert {address.rpartition("@")[2] for address in read_addresses(client)} == {MAIL_NAME, MAIL2_NAME}
        assert client.address.endswith(f"@{MAIL_NAME}")
    bob.join(alice.invite())
    texts = [f"{number} {secrets.token_hex(4)}" for number in range(6)]
    to_alice = bob.chat_with(alice.address)
    bob.send(to_alice, texts[0])
    to_bob = alice.wait_for_message(texts[0])["chatId"]
    alice.send(to_bob, texts[1])
    bob.wait_for_message(texts[1])

    both_nodes.stop("mail1")
    began_at = time.monotonic()
    bob.send(to_alice, texts[2])
    alice.send(to_bob, texts[3])
    try_until(
        lambda: texts[2] in read_texts(alice, to_bob) and texts[3] in read_texts(bob, to_alice), alice, bob
    )
    show(f"both heard one another {time.monotonic() - began_at:.1f} s after their first node was stopped")

    both_nodes.start("mail1")
    both_nodes.wait_until_ready()
    bob.send(to_alice, texts[4])
    alice.wait_for_message(texts[4])
    alice.send(to_bob, texts[5])
    bob.wait_for_message(texts[5])
    wait_until(lambda: is_done(both_nodes, "mail1") and is_done(both_nodes, "mail2"), 60)
    for client in (alice, bob):  # until what waited for mail1 has been fetched there, too
        client.rpc.wait_for_all_work_done(client.account)

    assert sorted(read_texts(alice, to_bob)) == sorted(read_texts(bob, to_alice)) == texts


def test_page_of_the_control_plane_offers_the_other_node(fleet: LabFleet) -> None:
    fleet.madfleet("weight", "mail2", "0")
    try:
        assert len(find_links(fleet, f"{CONTROL_NAME}/join")) == 1
        wait_until(lambda: len(find_links(fleet, f"{MAIL_NAME}/register")) == 1)
    finally:
        fleet.madfleet("weight", "mail2", "100")
    first, backup = find_links(fleet, f"{CONTROL_NAME}/join")

    names = {MAIL_NAME, MAIL2_NAME}
    (placed,) = [name for name in names if f"@{name}?" in first]
    assert backup == f"dcaccount:https://{(names - {placed}).pop()}/new"


def test_policy_refuses_what_an_app_adds_by_itself_and_not_what_is_scanned(
    fleet: LabFleet, device: OpenCore
) -> None:
    core = device("a")
    inviter, scanner, follower = (core.add_client() for _ in range(3))
    inviter.configure_by_qr(fleet.register()["dclogin_url"])
    invitation = inviter.invite()

    fleet.madfleet("jit", "on", "--no-apps")
    try:
        fleet.wait_until_ready()
        with pytest.raises(JsonRpcError):
            follower.rpc.init_transports(follower.account, invitation)
        scanner.rpc.add_transport_from_qr(scanner.account, f"dcaccount:{MAIL_NAME}")
    finally:
        fleet.madfleet("jit", "on", "--apps")
    fleet.wait_until_ready()
    follower.rpc.init_transports(follower.account, invitation)

    for client in (scanner, follower):
        assert {address.rpartition("@")[2] for address in read_addresses(client)} == {MAIL_NAME}
