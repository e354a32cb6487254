"""What cannot be delivered: real core shows the message as failed, with the reason that the node gives.

    a network of the tests' own
        127.0.0.1          a node with clients, and BIND, which knows where servers of others are
        198.51.100.0/24    those servers: each has its own reason to take nothing

Needs root, for the network.
Not for: servers that cannot be reached at all (test_foreign_server.py).
"""

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from mailnode.peering.policy import NOT_ALLOWED
from mailnode.peering.smtp_pool import NO_TLS
from nodelink.contract.federation import FederationMode, FederationRule, FederationState
from nodelink.daemon.tls import ServerCertificate
from self_signed import make_certificate
from support.cut_off_node import enrol
from support.deltachat import Client, open_core
from support.destinations import PORTS, SERVERS, own_network
from support.lab import NEWEST_CORE, OLD_CORE
from support.mailnode_process import HOST, RunningNode, running_node
from support.name_server import ZONE, running_name_server
from support.peering_site import FarSide

pytestmark = [pytest.mark.lab, pytest.mark.netns, pytest.mark.timeout(90)]

NOWHERE, NULL, BLOCKED = f"nowhere.{ZONE}", f"null.{ZONE}", f"blocked.{ZONE}"
STRANGER, PLAIN, SMTP, HTTPS = f"stranger.{ZONE}", f"plain.{ZONE}", f"smtp.{ZONE}", f"https.{ZONE}"
FAR = {name: f"{SERVERS}.{number}" for number, name in enumerate((STRANGER, PLAIN, SMTP, HTTPS), start=1)}
RECORDS = "null IN MX 0 .\n" + "".join(
    f"{name}. IN MX 1 {name}.\n{name}. IN A {address}\n" for name, address in FAR.items()
)
GO_AWAY = "Nobody here wants this"
QUEUE_HOURS = 0.001
OVERDUE = f"not reached for {QUEUE_HOURS * 3_600:.0f} seconds, at last: "
WITHIN_SECONDS = 40

Befriend = Callable[[Client, str], int]


@dataclass(frozen=True, slots=True)
class Site:
    """The node, the servers of others, and the beginning of a command that runs in their network."""

    node: RunningNode
    far_sides: Sequence[FarSide]
    prefix: Sequence[str]


@asynccontextmanager
async def open_far_sides(directory: Path) -> AsyncIterator[Sequence[FarSide]]:
    """Open the servers of others; the node trusts the certificates in `authorities.pem`."""
    sides = {}
    async with AsyncExitStack() as stack:
        for name, address in FAR.items():
            files = make_certificate(directory, name, label=name)
            tls = ServerCertificate(*files).build_context()
            sides[name] = FarSide(name, tls, PORTS, address=address, offers_tls=name != PLAIN)
            if name in (STRANGER, HTTPS):
                await sides[name].open_https(stack)
            if name != HTTPS:
                await sides[name].open_smtp(stack)
        sides[SMTP].replies["DATA"] = f"554 5.7.1 {GO_AWAY}"
        sides[HTTPS].http_answers += [(403, GO_AWAY.encode())] * 9
        trusted = [directory / f"{name}.crt" for name in FAR if name != STRANGER]
        (directory / "authorities.pem").write_text("".join(file.read_text() for file in trusted))
        yield [*sides.values()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("node")
    rules = (FederationRule(domain=BLOCKED),)
    enrol(directory / "state", FederationState(is_enabled=True, mode=FederationMode.ACCEPT, rules=rules))
    name = f"madfleet-failed-{os.getpid()}"
    prefix = ["ip", "netns", "exec", name]
    with own_network(name) as thread, ExitStack() as stack:
        names = thread.submit(stack.enter_context, running_name_server(directory / "names", RECORDS)).result()
        portal = thread.submit(stack.enter_context, start_blocking_portal()).result()
        far_sides = stack.enter_context(portal.wrap_async_context_manager(open_far_sides(directory)))
        node = stack.enter_context(
            running_node(
                directory,
                opens_registration=False,
                prefix=prefix,
                log=directory / "log",
                DNS_SERVERS=HOST,
                DNS_PORT=names.port,
                PEERS_CA_FILE=directory / "authorities.pem",
                QUEUE_HOURS=QUEUE_HOURS,
            )
        )
        yield Site(node, far_sides, prefix)


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
def befriend(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Befriend]:
    """Make a chat with somebody who has a key, at a domain that takes nothing.

    The key is an old core's: newer ones write into theirs where their owner is.
    """
    with open_core([*site.prefix, OLD_CORE], tmp_path_factory.mktemp("friend") / "core") as core:

        def make_chat(client: Client, domain: str) -> int:
            friend = core.add_client()
            configure(friend, site.node)
            card = friend.rpc.make_vcard(friend.account, [1]).replace(f"@[{HOST}]", f"@{domain}")
            (contact,) = client.rpc.import_vcard_contents(client.account, card)
            return int(client.rpc.create_chat_by_contact_id(client.account, contact))

        yield make_chat


@pytest.fixture(scope="module", params=[NEWEST_CORE, OLD_CORE], ids=["newest core", "old core"])
def alice(
    request: pytest.FixtureRequest, site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    command = [*site.prefix, request.param]
    with open_core(command, tmp_path_factory.mktemp("alice") / "core") as core:
        client = core.add_client()
        configure(client, site.node)
        client.go_online()
        yield client


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        pytest.param(NOWHERE, [f"@{NOWHERE}: 512 5.1.2 The domain does not exist"], id="no such domain"),
        pytest.param(NULL, [f"@{NULL}: 556 5.1.10 The domain takes no mail"], id="takes no mail"),
        pytest.param(BLOCKED, [f"5.7.1 {NOT_ALLOWED}"], id="blocked by our policy"),
        pytest.param(STRANGER, [f"@{STRANGER}: {OVERDUE}", "certificate verify failed"], id="unknown CA"),
        pytest.param(PLAIN, [f"@{PLAIN}: {OVERDUE}", NO_TLS], id="no TLS"),
        pytest.param(SMTP, [f"@{SMTP}: 554 5.7.1 {GO_AWAY}"], id="refused by SMTP"),
        pytest.param(HTTPS, [f"@{HTTPS}: 403 {GO_AWAY}"], id="refused by HTTPS"),
    ],
)
def test_core_shows_what_failed_and_why(
    site: Site, alice: Client, befriend: Befriend, domain: str, words: Sequence[str]
) -> None:
    message = alice.send(befriend(alice, domain), "hello?")
    alice.wait_for("MsgFailed", lambda event: event["msgId"] == message, WITHIN_SECONDS)

    shown = alice.rpc.get_message(alice.account, message)["error"]
    assert [each for each in words if each not in shown] == [], shown
    assert shown in alice.rpc.get_message_info(alice.account, message)
    assert not any(side.uploads or side.letters for side in site.far_sides)
