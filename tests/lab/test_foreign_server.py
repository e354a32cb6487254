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
from mailnode.dkim.key_files import read_ring
from mailnode.dkim.key_ring import write_key_record
from nodelink.contract.federation import FederationMode, FederationState
from support.clocks import wait_until
from support.cut_off_node import enrol
from support.deltachat import Client
from support.deployed_fleet import NAME_SERVER_ADDRESS, ROOT, run_at, run_on
from support.lab import MAIL_NAME, OLD_CORE, LabFleet, OpenCore
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
ZONE = "/etc/nsd/lab.zone"
HTTPS, HTTP, SMTP = 443, 80, 25
FRONT = ROOT / "tests/support/plain_front.py"
QUEUE_FILE, DROP_IN = "/run/queue-hours", "/run/systemd/system/mailnode.service.d/queue.conf"
QUEUE_HOURS = 0.002
RESTART = "systemctl daemon-reload && systemctl restart mailnode"
LINE_CHARACTERS = 200
WAITING_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Foreign:
    """The server that is not of the fleet, and the records that the name server has of both sides."""

    fleet: LabFleet
    directory: Path
    first_zone: str
    fleet_records: str

    def publish(self, *exchangers: str) -> None:
        """Have the name server say where its mail goes: `PREFERENCE HOST`."""
        ring = read_ring(self.directory / "state/dkim-keys.json")
        assert ring is not None
        lines = [
            self.first_zone,
            self.fleet_records,
            f"{FAR}. IN A {self.fleet.network.address(COMPUTER)}",
            *(f"{FAR}. 1 IN MX {exchanger}" for exchanger in exchangers),
            *(
                f"{key.selector}._domainkey.{FAR}. IN TXT {quote(write_key_record(key))}"
                for key in ring.signing_keys
            ),
        ]
        write_zone("\n".join(lines))

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
        command = self.fleet.network.command(COMPUTER, "nft", "--file", "-")
        subprocess.run(command, input=rules, text=True, check=True, timeout=20)

    def count_delivered(self, transport: str) -> int:
        """Count what mail1 has delivered there by a transport."""
        found = json.loads(self.fleet.madfleet("federation", "servers", "--node", "mail1", "--json"))
        return sum(each[f"delivered_{transport}"] for each in found["items"] if each["domain"] == FAR)


def quote(text: str) -> str:
    parts = (text[start : start + LINE_CHARACTERS] for start in range(0, len(text), LINE_CHARACTERS))
    return " ".join(f'"{part}"' for part in parts)


def write_zone(text: str) -> None:
    run_at(NAME_SERVER_ADDRESS, f"cat > {ZONE} <<'END'\n{text}\nEND\nsystemctl kill --signal=HUP nsd")


def read_missing_records(fleet: LabFleet) -> str:
    """Read what the fleet's own records are that the name server does not have yet."""
    ended = fleet.madfleet("dns", "--check", "--json", "--server", NAME_SERVER_ADDRESS, "|| true")
    return "\n".join(
        f"{each['name']} {each['ttl_seconds']} IN {each['type']} {each['value']}"
        for each in json.loads(ended)
        if each["action"] == "add"
    )


@pytest.fixture(scope="module")
def foreign(fleet: LabFleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    directory = tmp_path_factory.mktemp("far")
    first_zone = run_at(NAME_SERVER_ADDRESS, f"cat {ZONE}")
    enrol(directory / "state", FederationState(is_enabled=True, mode=FederationMode.ACCEPT))
    with running_node(
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
    ):
        foreign = Foreign(fleet, directory, first_zone, read_missing_records(fleet))
        foreign.publish(f"10 {FAR}.")
        try:
            yield foreign
        finally:
            write_zone(first_zone)


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
    foreign.publish("5 nobody.test.", f"10 {FAR}.")
    try:
        alice.send(alice.chat_with(carol.address), text)
        assert carol.wait_for_message(text, WAITING_SECONDS)["showPadlock"]
    finally:
        foreign.publish(f"10 {FAR}.")


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
