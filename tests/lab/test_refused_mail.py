"""Mail that servers of others forge, spoil, send on or smuggle: refused with the text that the docs tell.

    stranger.test   a server that signs; at client b, known by the lab's name server with its keys
    other.test      another one with keys, whose mail nothing sends
    client a        a server that has got hold of mail of the first

Each hands its mail over at port 25 with STARTTLS and at `/mxdeliv`, verifying mail1's certificate.
Not for: what mail1 sends (test_foreign_server.py), or every other reason to refuse (tests/protocol).
"""

import re
import secrets
import smtplib
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from http.client import HTTPSConnection

import pytest

from mailnode.dkim.errors import DkimError, NoSignatureError
from mailnode.dkim.key_ring import make_ring
from mailnode.dkim.signing import SigningKey, write_signatures
from mailnode.peering.reception import OWN_DOMAIN, SENT_ON
from mailnode.smtp.replies import BARE_LINE_END
from nodelink.contract.federation import PeerTransport
from support.deployed_fleet import ROOT
from support.lab import MAIL, MAIL_NAME, LabFleet
from support.lab_zone import opened_zone, write_key_lines
from support.mail_clients import count_message_ids
from support.openpgp_messages import encrypted_mail

pytestmark = [pytest.mark.lab, pytest.mark.netns, pytest.mark.usefixtures("published")]

STRANGER, OTHER = "stranger.test", "other.test"
EVE = f"eve@{STRANGER}"
COMPUTER, THIEF = "b", "a"
TIMEOUT_SECONDS = 20
GO_AHEAD = 354
REFUSAL = re.compile(r"^\| [^|]+ \| `(\d{3} \d\.\d\.\d) ([^`|]+)` \| (\d{3}) \|$", re.MULTILINE)
NO_PROOF = DkimError.public_text


@dataclass(frozen=True, slots=True)
class Box:
    """An account on mail1."""

    fleet: LabFleet
    address: str
    password: str

    def count_message_ids(self) -> Counter[str]:
        return self.fleet.network.call(COMPUTER, partial(count_message_ids, self.address, self.password))


@dataclass(frozen=True, slots=True)
class Caller:
    """A server of others, on a computer of its own; both doors look the same to a test."""

    fleet: LabFleet
    computer: str
    door: PeerTransport

    def bring(self, message: bytes, recipient: str) -> str:
        """Hand a message over; return code and text of the answer."""
        hand_over = hand_over_by_smtp if self.door is PeerTransport.SMTP else hand_over_by_https
        return self.fleet.network.call(self.computer, partial(hand_over, message, recipient))


def build_tls() -> ssl.SSLContext:
    """Build what trusts the lab's authority. Threads in a namespace ask no name server and dial addresses."""
    context = ssl.create_default_context(cafile=ROOT / ".lab/certificates/ca.pem")
    context.check_hostname = False
    return context


def hand_over_by_smtp(message: bytes, recipient: str) -> str:
    """Send the message as it is: smtplib's own way would mend its lines."""
    with smtplib.SMTP(MAIL, local_hostname=STRANGER, timeout=TIMEOUT_SECONDS) as client:
        client.starttls(context=build_tls())
        client.ehlo()
        client.mail(EVE)
        client.rcpt(recipient)
        assert client.docmd("DATA")[0] == GO_AHEAD
        client.send(message + b".\r\n")
        code, text = client.getreply()
        return f"{code} {text.decode()}"


def hand_over_by_https(message: bytes, recipient: str) -> str:
    connection = HTTPSConnection(MAIL, context=build_tls(), timeout=TIMEOUT_SECONDS)
    connection.request("POST", "/mxdeliv", message, {"X-Mail-From": EVE, "X-Mail-To": recipient})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return f"{answer.status} {text}"


@cache
def keys() -> tuple[SigningKey, ...]:
    return make_ring(0).signing_keys


def mail_of(sender: str) -> bytes:
    return bytes(encrypted_mail(sender=sender, message_id=f"{secrets.token_hex(8)}@{STRANGER}"))


def sign(message: bytes, domain: str = STRANGER) -> bytes:
    return write_signatures(message, domain, keys(), int(time.time())) + message


def change(old: bytes, new: bytes) -> bytes:
    """Sign a message, and change it afterwards."""
    signed = sign(mail_of(EVE))
    assert signed.count(old) == 1
    return signed.replace(old, new)


def smuggle(end: bytes, recipient: str) -> bytes:
    """Write a message in which another one follows, behind what some servers take for an end."""
    commands = f"MAIL FROM:<{EVE}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
    return sign(mail_of(EVE) + end + commands + sign(mail_of(EVE)))


@pytest.fixture(scope="module")
def published(fleet: LabFleet) -> Iterator[None]:
    with opened_zone() as publish:
        publish(
            [
                f"{STRANGER}. IN A {fleet.network.address(COMPUTER)}",
                *(f"{domain}. IN MX 10 {STRANGER}." for domain in (STRANGER, OTHER)),
                *(line for domain in (STRANGER, OTHER) for line in write_key_lines(domain, keys())),
            ]
        )
        yield


@pytest.fixture(params=[PeerTransport.SMTP, PeerTransport.HTTPS])
def door(request: pytest.FixtureRequest) -> PeerTransport:
    return PeerTransport(request.param)


@pytest.fixture
def stranger(fleet: LabFleet, door: PeerTransport) -> Caller:
    return Caller(fleet, COMPUTER, door)


@pytest.fixture
def thief(fleet: LabFleet, door: PeerTransport) -> Caller:
    return Caller(fleet, THIEF, door)


@pytest.fixture
def documented(door: PeerTransport) -> Mapping[str, str]:
    """Read from the docs what the whole answer is, by its text."""
    page = (ROOT / "docs/en/federation.md").read_text()
    return {
        text: f"{code if door is PeerTransport.SMTP else status} {text}"
        for code, text, status in REFUSAL.findall(page)
    }


def register(fleet: LabFleet) -> Box:
    account = fleet.register()
    return Box(fleet, account["email"], account["password"])


@pytest.fixture(scope="module")
def bob(fleet: LabFleet) -> Box:
    return register(fleet)


@pytest.fixture(scope="module")
def carol(fleet: LabFleet) -> Box:
    return register(fleet)


@pytest.mark.parametrize(
    ("write", "text"),
    [
        pytest.param(lambda: sign(mail_of(f"alice@{OTHER}")), NO_PROOF, id="forged From"),
        pytest.param(lambda: sign(mail_of(f"alice@{MAIL_NAME}")), OWN_DOMAIN, id="From of mail1"),
        pytest.param(lambda: mail_of(EVE), NoSignatureError.public_text, id="no signature"),
        pytest.param(lambda: change(b"\r\nDate: Sun,", b"\r\nDate: Mon,"), NO_PROOF, id="changed header"),
        pytest.param(lambda: change(b"OpenPGP encrypted", b"An encrypted"), NO_PROOF, id="changed body"),
        pytest.param(lambda: sign(mail_of(EVE), OTHER), NO_PROOF, id="signed by another domain"),
    ],
)
def test_mail_whose_author_is_not_proved_is_refused(
    stranger: Caller, documented: Mapping[str, str], bob: Box, write: Callable[[], bytes], text: str
) -> None:
    before = bob.count_message_ids()

    assert stranger.bring(write(), bob.address) == documented[text]
    assert bob.count_message_ids() == before


def test_mail_that_another_server_sends_on_to_somebody_else_is_refused(
    stranger: Caller, thief: Caller, documented: Mapping[str, str], bob: Box, carol: Box
) -> None:
    message = sign(mail_of(EVE))
    of_bob, of_carol = bob.count_message_ids(), carol.count_message_ids()
    assert stranger.bring(message, bob.address).startswith("2")

    assert thief.bring(message, carol.address) == documented[SENT_ON]
    assert (bob.count_message_ids() - of_bob).total() == 1
    assert carol.count_message_ids() == of_carol


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n"])
def test_mail_behind_a_false_end_is_refused_with_what_is_before(
    stranger: Caller, documented: Mapping[str, str], bob: Box, carol: Box, end: bytes
) -> None:
    before = bob.count_message_ids(), carol.count_message_ids()
    answer = stranger.bring(smuggle(end, carol.address), bob.address)

    assert answer == documented[BARE_LINE_END.text]
    assert (bob.count_message_ids(), carol.count_message_ids()) == before
