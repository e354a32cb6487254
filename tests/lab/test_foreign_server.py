"""A mail server that is not of the fleet: mail goes both ways, by whatever a network leaves open.

It is our mail node, run by somebody else: of another domain, on a computer of its own in the lab's network,
known by the lab's name server, with a certificate that the lab's authority vouches for.
"""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab_names import FOREIGN_NAME
from lab_network import PREFIX_IPV4
from mailnode.dkim.key_files import read_ring
from mailnode.peering.policy import NOT_ALLOWED
from nodelink.contract.federation import FederationMode, FederationState
from support.clocks import wait_until
from support.cut_off_node import enrol
from support.deltachat import Client
from support.deployed_fleet import NAME_SERVER_ADDRESS, ROOT, run_on
from support.lab import MAIL_NAME, OLD_CORE, LabFleet, OpenCore
from support.lab_zone import Publish, opened_zone, write_key_lines
from support.mailnode_process import running_node

pytestmark = [pytest.mark.lab, pytest.mark.netns]

FAR = FOREIGN_NAME
COMPUTER = "b"
CERTIFICATES = ROOT / ".lab/certificates"
PORTS: dict[str, Any] = {
    "SMTP_TLS_PORT": 465,
    "SMTP_STARTTLS_PORT": 587,
    "IMAP_TLS_PORT": 993,
    "IMAP_STARTTLS_PORT": 143,
    "HTTPS_PORT": 443,
    "INBOUND_SMTP_PORT": 25,
}
HTTPS, HTTP, SMTP = 443, 80, 25
DEAD, DEAD_ADDRESS = "dead.test", f"{PREFIX_IPV4}.199"
DEAD_RULES = f"""table inet dead {{
    counter https {{ }}
    counter smtp {{ }}
    chain input {{
        type filter hook input priority 0;
        ip daddr {DEAD_ADDRESS} tcp dport {HTTPS} counter name https
        ip daddr {DEAD_ADDRESS} tcp dport {SMTP} counter name smtp
        ip daddr {DEAD_ADDRESS} drop
    }}
}}
"""
FRONT = ROOT / "tests/support/plain_front.py"
QUEUE_FILE, DROP_IN = "/run/queue-hours", "/run/systemd/system/mailnode.service.d/queue.conf"
QUEUE_HOURS = 0.002
RESTART = "systemctl daemon-reload && systemctl restart mailnode"
WAITING_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Foreign:
    """The server that is not of the fleet, and the records that the name server has of both sides."""

    fleet: LabFleet
    directory: Path
    say: Publish
    fleet_records: Sequence[str]

    def publish(self, *exchangers: str) -> None:
        """Have the name server say where its mail goes: `PREFERENCE HOST`."""
        ring = read_ring(self.directory / "state/dkim-keys.json")
        assert ring is not None
        self.say(
            [
                *self.fleet_records,
                f"{FAR}. IN A {self.fleet.network.address(COMPUTER)}",
                f"{DEAD}. IN A {DEAD_ADDRESS}",
                *(f"{FAR}. 0 IN MX {exchanger}" for exchanger in exchangers),
                *write_key_lines(FAR, ring.signing_keys),
            ]
        )

    @contextmanager
    def without(self, *ports: int) -> Iterator[None]:
        """Let nothing through to or from these ports of others, or of its own."""
        numbers = ", ".join(map(str, ports))
        refuse = f'!= "lo" tcp dport {{ {numbers} }} reject with tcp reset'
        chains = "".join(
            f"chain {hook} {{ type filter hook {hook} priority 0; {name} {refuse}; }}\n"
            for hook, name in (("input", "iifname"), ("output", "oifname"))
        )
        self._nft(f"table inet blocked {{\n{chains}}}")
        try:
            yield
        finally:
            self._nft("delete table inet blocked")

    @contextmanager
    def with_dead_host(self) -> Iterator[None]:
        """Let there be a host from which nothing ever comes back."""
        address = [f"{DEAD_ADDRESS}/24", "dev", "uplink"]
        self._run("ip", "address", "add", *address)
        run_on("mail1", f"ip neighbour flush to {DEAD_ADDRESS}")  # of the computer that was here before
        self._nft(DEAD_RULES)
        try:
            yield
        finally:
            self._nft("delete table inet dead")
            self._run("ip", "address", "del", *address)

    def count_dropped(self) -> dict[str, int]:
        """Count the packets that the dead host was sent, by transport."""
        listed = json.loads(self._run("nft", "--json", "list", "counters", "table", "inet", "dead"))
        counters = [each["counter"] for each in listed["nftables"] if "counter" in each]
        return {counter["name"]: counter["packets"] for counter in counters}

    @contextmanager
    def with_http(self) -> Iterator[None]:
        """Have it take mail by HTTP, too."""
        own = self.fleet.network.address(COMPUTER)
        words = [own, str(HTTP), FAR, str(HTTPS), str(CERTIFICATES / "ca.pem")]
        command = self.fleet.network.command(COMPUTER, sys.executable, str(FRONT), *words)
        with subprocess.Popen(command, stdout=subprocess.PIPE) as front:
            try:
                assert front.stdout is not None
                assert front.stdout.readline()
                yield
            finally:
                front.kill()

    def _nft(self, rules: str) -> None:
        self._run("nft", "--file", "-", text=rules)

    def _run(self, *words: str, text: str = "") -> str:
        command = self.fleet.network.command(COMPUTER, *words)
        return subprocess.run(
            command, input=text, text=True, check=True, timeout=20, stdout=subprocess.PIPE
        ).stdout

    def count_delivered(self, transport: str) -> int:
        """Count what mail1 has delivered there by a transport."""
        found = json.loads(self.fleet.madfleet("federation", "servers", "--node", "mail1", "--json"))
        return sum(each[f"delivered_{transport}"] for each in found["items"] if each["domain"] == FAR)


def read_missing_records(fleet: LabFleet) -> list[str]:
    """Read what the fleet's own records are that the name server does not have yet."""
    ended = fleet.madfleet("dns", "--check", "--json", "--server", NAME_SERVER_ADDRESS, "|| true")
    return [
        f"{each['name']} {each['ttl_seconds']} IN {each['type']} {each['value']}"
        for each in json.loads(ended)
        if each["action"] == "add"
    ]


@pytest.fixture(scope="module")
def foreign(fleet: LabFleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    directory = tmp_path_factory.mktemp("far")
    enrol(directory / "state", FederationState(is_enabled=True, mode=FederationMode.ACCEPT))
    node = running_node(
        directory,
        opens_registration=False,
        prefix=fleet.network.command(COMPUTER),
        log=directory / "log",
        MAIL_DOMAIN=FAR,
        PUBLIC_HOST=FAR,
        LISTEN_ADDRESSES=fleet.network.address(COMPUTER),
        TLS_CERTIFICATE=CERTIFICATES / f"{FAR}.chain.pem",
        TLS_KEY=CERTIFICATES / f"{FAR}.key.pem",
        PEERS_CA_FILE=CERTIFICATES / "ca.pem",
        DNS_SERVERS=NAME_SERVER_ADDRESS,
        MESSAGES_PER_MINUTE=0,
        **PORTS,
    )
    with node, opened_zone() as say:
        foreign = Foreign(fleet, directory, say, read_missing_records(fleet))
        foreign.publish(f"10 {FAR}.")
        yield foreign


@pytest.fixture
def apart(foreign: Foreign, device: OpenCore) -> tuple[Client, Client]:
    """One client on mail1 and one on the foreign server, who have scanned one another."""
    alice, carol = device("a").add_client(), device(COMPUTER).add_client()
    alice.configure_by_qr(foreign.fleet.register(MAIL_NAME)["dclogin_url"])
    carol.configure_by_login(f"carol-{secrets.token_hex(3)}@{FAR}", secrets.token_hex(11), FAR)
    carol.join(alice.invite())
    return alice, carol


@pytest.fixture
def short_queue(fleet: LabFleet) -> Iterator[None]:
    """Have mail1 give up after seconds; so much of a test must come before its clients."""
    run_on(
        "mail1",
        f"mkdir -p {Path(DROP_IN).parent} && echo MAILNODE_QUEUE_HOURS={QUEUE_HOURS} > {QUEUE_FILE}"
        f" && printf '[Service]\nEnvironmentFile={QUEUE_FILE}\n' > {DROP_IN} && {RESTART}",
    )
    fleet.wait_until_ready()
    try:
        yield
    finally:
        run_on("mail1", f"rm {DROP_IN} {QUEUE_FILE} && {RESTART}")
        fleet.wait_until_ready()


def read_failure(client: Client, message: int) -> str:
    """Wait until core shows a message as failed; return the reason that it gives."""
    client.wait_for("MsgFailed", lambda event: event["msgId"] == message, WAITING_SECONDS)
    return str(client.rpc.get_message(client.account, message)["error"])


def test_the_fleets_own_records_are_those_that_it_asks_for(foreign: Foreign) -> None:
    said = foreign.fleet.madfleet("dns", "--check", "--server", NAME_SERVER_ADDRESS)

    assert "are published" in said


@pytest.mark.parametrize(
    ("transport", "blocked"), [("https", [SMTP]), ("smtp", [HTTPS])], ids=["only HTTPS", "only SMTP"]
)
def test_mail_takes_the_way_that_is_open(
    foreign: Foreign,
    apart: tuple[Client, Client],
    transport: str,
    blocked: Sequence[int],
    show: Callable[[str], None],
) -> None:
    alice, carol = apart
    before = foreign.count_delivered(transport)
    text, answer = f"out {secrets.token_hex(4)}", f"and back {secrets.token_hex(4)}"
    with foreign.without(*blocked):
        began_at = time.monotonic()
        alice.send(alice.chat_with(carol.address), text)
        heard = carol.wait_for_message(text, WAITING_SECONDS)
        carol.send(heard["chatId"], answer)
        replied = alice.wait_for_message(answer, WAITING_SECONDS)
        took = time.monotonic() - began_at

    assert heard["showPadlock"]
    assert replied["showPadlock"]
    wait_until(lambda: foreign.count_delivered(transport) > before, 20)
    show(f"text to a server of others and back, by {transport} alone: {took:.2f} s")


def test_mail_goes_by_http_alone_where_an_operator_has_chosen_so(
    foreign: Foreign, apart: tuple[Client, Client]
) -> None:
    alice, carol = apart
    text = f"in the open {secrets.token_hex(4)}"
    foreign.fleet.madfleet("federation", "transports", "https", "http", "smtp")
    try:
        with foreign.with_http(), foreign.without(HTTPS, SMTP):
            alice.send(alice.chat_with(carol.address), text)
            assert carol.wait_for_message(text, WAITING_SECONDS)["showPadlock"]
    finally:
        foreign.fleet.madfleet("federation", "transports", "https", "smtp")

    wait_until(lambda: foreign.count_delivered("http") == 1, 20)


def test_the_second_exchanger_takes_what_the_first_cannot(
    foreign: Foreign, apart: tuple[Client, Client]
) -> None:
    alice, carol = apart
    text = f"second {secrets.token_hex(4)}"
    foreign.publish(f"5 {DEAD}.", f"10 {FAR}.")
    try:
        with foreign.with_dead_host():
            alice.send(alice.chat_with(carol.address), text)
            assert carol.wait_for_message(text, WAITING_SECONDS)["showPadlock"]
            tried = foreign.count_dropped()
    finally:
        foreign.publish(f"10 {FAR}.")

    assert {transport for transport, packets in tried.items() if packets} == {"https", "smtp"}


def test_mail_waits_while_the_exchanger_is_down(foreign: Foreign, apart: tuple[Client, Client]) -> None:
    alice, carol = apart
    text = f"later {secrets.token_hex(4)}"
    with foreign.without(HTTPS, SMTP):
        alice.send(alice.chat_with(carol.address), text)
        alice.wait_for("MsgDelivered")
        wait_until(lambda: foreign.fleet.node("mail1")["report"]["figures"]["queued_messages"] > 0, 20)

    assert carol.wait_for_message(text, WAITING_SECONDS)["showPadlock"]


@pytest.mark.usefixtures("short_queue")
def test_core_shows_what_did_not_arrive_until_the_attempts_ended(
    foreign: Foreign, apart: tuple[Client, Client]
) -> None:
    alice, carol = apart
    with foreign.without(HTTPS, SMTP):
        reason = read_failure(alice, alice.send(alice.chat_with(carol.address), "too late"))

    assert f"{carol.address}: not reached for {QUEUE_HOURS * 3_600:.0f} seconds" in reason


def test_core_shows_on_either_side_what_the_policy_of_the_fleet_forbids(
    foreign: Foreign, apart: tuple[Client, Client]
) -> None:
    alice, carol = apart
    foreign.fleet.madfleet("federation", "rule", "add", FAR)
    try:
        foreign.fleet.wait_until_ready()
        there = read_failure(alice, alice.send(alice.chat_with(carol.address), "out"))
        back = read_failure(carol, carol.send(carol.chat_with(alice.address), "in"))
    finally:
        foreign.fleet.madfleet("federation", "rule", "remove", FAR)
        foreign.fleet.wait_until_ready()

    assert f"5.7.1 {NOT_ALLOWED}" in there
    assert f"{alice.address}: 550 5.7.1 {NOT_ALLOWED}" in back


def test_core_shows_that_nobody_is_there(foreign: Foreign, device: OpenCore) -> None:
    alice, friend = device("a").add_client(), device(COMPUTER, OLD_CORE).add_client()
    alice.configure_by_qr(foreign.fleet.register(MAIL_NAME)["dclogin_url"])
    friend.configure_by_login(f"dave-{secrets.token_hex(3)}@{FAR}", secrets.token_hex(11), FAR)
    nobody = f"nobody-{secrets.token_hex(3)}@{FAR}"
    # An old core's key says nothing of where its owner is; a new one's would take the message to him.
    card = friend.rpc.make_vcard(friend.account, [1]).replace(friend.address, nobody)
    (contact,) = alice.rpc.import_vcard_contents(alice.account, card)
    reason = read_failure(alice, alice.send(alice.rpc.create_chat_by_contact_id(alice.account, contact), "?"))

    assert f"{nobody}: " in reason
    assert "No such user here" in reason
