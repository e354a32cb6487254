"""What cannot be delivered: real core shows the message as failed, with the reason that the node gives.

A node on loopback, and a name server that knows where no server is.
Not for: what happens when the attempts end (test_foreign_server.py).
"""

import secrets
from collections.abc import Callable, Iterator

import pytest

from nodelink.contract.federation import FederationMode, FederationState
from support.cut_off_node import enrol
from support.deltachat import Client, open_core
from support.lab import NEWEST_CORE, OLD_CORE
from support.mailnode_process import HOST, RunningNode, running_node
from support.name_server import running_name_server

pytestmark = [pytest.mark.lab, pytest.mark.timeout(90)]

NOWHERE, NULL = "nowhere.example.org", "null.example.org"
RECORDS = "null IN MX 0 .\n"
WITHIN_SECONDS = 30

Befriend = Callable[[Client, str], int]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    directory = tmp_path_factory.mktemp("node")
    enrol(directory / "state", FederationState(is_enabled=True, mode=FederationMode.ACCEPT))
    with (
        running_name_server(directory / "names", RECORDS) as names,
        running_node(
            directory,
            opens_registration=False,
            log=directory / "log",
            DNS_SERVERS=HOST,
            DNS_PORT=names.port,
        ) as node,
    ):
        yield node


def configure(client: Client, node: RunningNode) -> None:
    login = {
        "addr": f"u{secrets.token_hex(6)}@[{HOST}]",
        "password": secrets.token_hex(11),
        "imapServer": HOST,
        "imapPort": node.ports["IMAP_TLS_PORT"],
        "imapSecurity": "ssl",
        "smtpServer": HOST,
        "smtpPort": node.ports["SMTP_TLS_PORT"],
        "smtpSecurity": "ssl",
        "certificateChecks": "acceptInvalidCertificates",
    }
    client.rpc.add_or_update_transport(client.account, login)


@pytest.fixture(scope="module")
def befriend(node: RunningNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Befriend]:
    """Make a chat with somebody who has a key, at a domain that has nobody.

    The key is an old core's: newer ones write into theirs where their owner is.
    """
    with open_core([OLD_CORE], tmp_path_factory.mktemp("friend") / "core") as core:

        def make_chat(client: Client, domain: str) -> int:
            friend = core.add_client()
            configure(friend, node)
            card = friend.rpc.make_vcard(friend.account, [1]).replace(f"@[{HOST}]", f"@{domain}")
            (contact,) = client.rpc.import_vcard_contents(client.account, card)
            return int(client.rpc.create_chat_by_contact_id(client.account, contact))

        yield make_chat


@pytest.fixture(scope="module", params=[NEWEST_CORE, OLD_CORE], ids=["newest core", "old core"])
def alice(
    request: pytest.FixtureRequest, node: RunningNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    with open_core([request.param], tmp_path_factory.mktemp("alice") / "core") as core:
        client = core.add_client()
        configure(client, node)
        client.go_online()
        yield client


@pytest.mark.parametrize(
    ("domain", "reason"),
    [
        (NOWHERE, "512 5.1.2 The domain does not exist"),
        (NULL, "556 5.1.10 The domain takes no mail"),
    ],
    ids=["no such domain", "a domain that takes no mail"],
)
def test_core_shows_what_failed_and_why(alice: Client, befriend: Befriend, domain: str, reason: str) -> None:
    message = alice.send(befriend(alice, domain), "hello?")
    alice.wait_for("MsgFailed", lambda event: event["msgId"] == message, WITHIN_SECONDS)

    shown = alice.rpc.get_message(alice.account, message)["error"]
    assert f"@{domain}: {reason}" in shown
    assert shown in alice.rpc.get_message_info(alice.account, message)
