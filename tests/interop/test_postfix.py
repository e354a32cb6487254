"""Mail with Postfix and OpenDKIM from Debian, both ways, over SMTP with TLS: each finds the other by BIND.

    127.0.0.1                   BIND with the zones of both; ours is the one that `madfleet dns` prints
    192.0.2.1 or 2001:db8::1    our node
    192.0.2.2 or 2001:db8::2    Postfix with OpenDKIM

All of it is in a network of the test's own. Needs root.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from controlplane.zone.records import MailPlace, list_mail_records
from controlplane.zone.zone_file import write_text_value, write_zone_file
from lab_authority import make_certificates
from mailnode.dkim.key_ring import make_ring, write_key_record
from mailnode.dkim.signing import SigningKey
from mailnode.peering.resolver import Resolver
from mailnode.peering.routes import Ports
from nodelink.contract.federation import DkimKey, DkimStage
from support.clocks import until, wait_until
from support.name_server import HOST as NAME_SERVER
from support.name_server import running_primary
from support.openpgp_messages import encrypted_mail
from support.own_network import own_network
from support.peering_site import PeerStation
from support.postfix import SIGNED, UNSIGNED, Far, PostfixServer, running_postfix

pytestmark = [pytest.mark.anyio, pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(120)]

HOME, FAR, FAR_HOST = "home.example", "far.example", "mx.far.example"
IPV4, IPV6 = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")
ALICE, EVE = f"alice@{HOME}", f"eve@{FAR}"
DNS_PORT = 53
ELSEWHERE = "elsewhere.example"


@dataclass
class Site:
    """A node of ours, and a server that is not."""

    home: PeerStation
    postfix: PostfixServer


@cache
def home_keys() -> Sequence[SigningKey]:
    return make_ring(0).signing_keys


@cache
def far_keys() -> dict[str, SigningKey]:
    return {
        "rsa-sha256": SigningKey("mail", generate_private_key(65_537, 2048)),
        "ed25519-sha256": SigningKey("short", Ed25519PrivateKey.generate()),
    }


def write_home_zone(address: str, keys: Sequence[SigningKey]) -> str:
    """Write what the operator of our node publishes when these keys sign."""
    reported = tuple(
        DkimKey(selector=key.selector, stage=DkimStage.CURRENT, record=write_key_record(key)) for key in keys
    )
    place = MailPlace(
        node="home",
        mail_domain=HOME,
        host=HOME,
        addresses=(address,),
        ports={},
        is_self_signed=False,
        dkim_keys=reported,
    )
    return write_zone_file(list_mail_records(place, None), [])


def write_far_zone(address: str, keys: Sequence[SigningKey]) -> str:
    kind = "AAAA" if ":" in address else "A"
    texts = {f"{key.selector}._domainkey": write_key_record(key) for key in keys}
    texts |= {"@": "v=spf1 mx -all", "_dmarc": "v=DMARC1; p=reject"}
    lines = [f"{name} IN TXT {write_text_value(text)}\n" for name, text in texts.items()]
    return "".join([f"@ IN MX 10 {FAR_HOST}.\n", f"{FAR_HOST}. IN {kind} {address}\n", *lines])


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    with own_network(*(f"{address}/24" for address in IPV4), *(f"{address}/64" for address in IPV6)):
        yield


@asynccontextmanager
async def open_site(
    directory: Path,
    addresses: tuple[str, str] = IPV4,
    *,
    algorithm: str = "rsa-sha256",
    certified_as: Mapping[str, str] | None = None,
    home_publishes: Sequence[SigningKey] | None = None,
    far_publishes: Sequence[SigningKey] | None = None,
) -> AsyncIterator[Site]:
    """Run both, each with its own name in its certificate and its own keys in the DNS, or with others."""
    home_address, far_address = addresses
    tls = directory / "tls"
    make_certificates(tls, [HOME, FAR_HOST, ELSEWHERE])
    names = {HOME: HOME, FAR_HOST: FAR_HOST, **(certified_as or {})}
    files = {host: (tls / f"{name}.chain.pem", tls / f"{name}.key.pem") for host, name in names.items()}
    zones = {
        HOME: write_home_zone(home_address, home_publishes or home_keys()),
        FAR: write_far_zone(far_address, far_publishes or [*far_keys().values()]),
    }
    home = PeerStation(
        HOME,
        Resolver(servers=[NAME_SERVER], port=DNS_PORT),
        Ports(),
        tls / "ca.pem",
        files[HOME],
        address=home_address,
        signing_keys=home_keys(),
    )
    far = Far(FAR, FAR_HOST, far_address, NAME_SERVER)
    async with AsyncExitStack() as stack:
        primary = running_primary(directory / "names", zones, DNS_PORT)
        await asyncio.to_thread(stack.enter_context, primary)
        await home.start(stack)
        await home.account("alice")
        postfix = running_postfix(far, files[FAR_HOST], tls / "ca.pem", far_keys()[algorithm])
        yield Site(home, await asyncio.to_thread(stack.enter_context, postfix))


def mail_of(sender: str) -> bytes:
    return bytes(encrypted_mail(sender=sender))


def unfold(message: bytes) -> bytes:
    return re.sub(rb"\r?\n[ \t]+", b" ", message)


@pytest.mark.parametrize("addresses", [IPV4, IPV6])
async def test_postfix_takes_our_mail_and_opendkim_verifies_it(
    tmp_path: Path, addresses: tuple[str, str]
) -> None:
    async with open_site(tmp_path, addresses) as site:
        assert await site.home.submit("alice", mail_of(ALICE), EVE) == 250

        message = await asyncio.to_thread(site.postfix.wait_for_mail)

        (results,) = re.findall(rb"(?m)^Authentication-Results: far\.example; (.*)$", unfold(message))
        verdicts = re.findall(rb"dkim=(\w+) .*?header\.d=home\.example .*?header\.s=(\w+)", results)
        assert verdicts == [(b"pass", b"rsa1"), (b"pass", b"ed1")], results
        assert b"-----BEGIN PGP MESSAGE-----" in message
        await site.home.wait_until_empty()


@pytest.mark.parametrize(("addresses", "algorithm"), [(IPV4, "rsa-sha256"), (IPV6, "ed25519-sha256")])
async def test_mail_that_opendkim_signs_arrives_over_verified_tls(
    tmp_path: Path, addresses: tuple[str, str], algorithm: str
) -> None:
    async with open_site(tmp_path, addresses, algorithm=algorithm) as site:
        await asyncio.to_thread(site.postfix.send, EVE, ALICE, mail_of(EVE), SIGNED)

        (message,) = await site.home.wait_for("alice")

        assert b"-----BEGIN PGP MESSAGE-----" in message
        await asyncio.to_thread(wait_until, lambda: "status=sent (250" in site.postfix.read_log(), 15)
        log = site.postfix.read_log()
        assert f"Verified TLS connection established to {HOME}[{addresses[0]}]:25" in log, log


async def test_mail_that_it_does_not_sign_is_refused_and_its_user_is_told(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        await asyncio.to_thread(site.postfix.send, EVE, ALICE, mail_of(EVE), UNSIGNED)

        report = await asyncio.to_thread(site.postfix.wait_for_mail)

        assert b"554 5.7.1 No DKIM signature found" in unfold(report)
        assert await site.home.inbox("alice") == []


async def test_our_mail_is_refused_by_opendkim_when_other_keys_are_published(tmp_path: Path) -> None:
    async with open_site(tmp_path, home_publishes=make_ring(0).signing_keys) as site:
        await site.home.submit("alice", mail_of(ALICE), EVE)

        (report,) = await site.home.wait_for("alice")

        assert b"eve@far.example: 550 5.7.0 bad DKIM signature data" in report
        assert site.postfix.read_mail() == []


async def test_mail_of_postfix_is_refused_when_another_key_is_published(tmp_path: Path) -> None:
    other = SigningKey("mail", generate_private_key(65_537, 2048))
    async with open_site(tmp_path, far_publishes=[other]) as site:
        await asyncio.to_thread(site.postfix.send, EVE, ALICE, mail_of(EVE), SIGNED)

        report = await asyncio.to_thread(site.postfix.wait_for_mail)

        assert b"554 5.7.1 No valid DKIM signature found" in unfold(report)
        assert await site.home.inbox("alice") == []


async def test_neither_hands_mail_to_a_server_with_the_certificate_of_another(tmp_path: Path) -> None:
    async with open_site(tmp_path, certified_as={HOME: ELSEWHERE, FAR_HOST: ELSEWHERE}) as site:
        await site.home.submit("alice", mail_of(ALICE), EVE)
        await asyncio.to_thread(site.postfix.send, EVE, ALICE, mail_of(EVE), SIGNED)

        await until(lambda: bool(site.home.traffic.list_peers(1).peers[0].failed_smtp))
        assert "CERTIFICATE_VERIFY_FAILED" in str(site.home.traffic.list_peers(1).peers[0].last_problem)
        await asyncio.to_thread(wait_until, lambda: "status=deferred" in site.postfix.read_log(), 15)
        assert "Server certificate not verified" in site.postfix.read_log()
        assert (await site.home.inbox("alice"), site.postfix.read_mail()) == ([], [])
