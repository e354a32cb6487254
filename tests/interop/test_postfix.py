"""Mail with Postfix and OpenDKIM from Debian, both ways, over SMTP with TLS: each verifies the other."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from mailnode.dkim.key_ring import make_ring
from mailnode.dkim.signing import SigningKey
from support.clocks import wait_until
from support.openpgp_messages import encrypted_mail
from support.peering_site import PeerStation, next_address, open_world
from support.postfix import SELECTOR, SIGNED, UNSIGNED, Far, PostfixServer, running_postfix

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]

HOME, FAR = "home.example", "far.example"
ALICE, EVE = f"alice@{HOME}", f"eve@{FAR}"


@dataclass
class Site:
    """A node of ours, and a server that is not."""

    home: PeerStation
    postfix: PostfixServer


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_world(tmp_path, [HOME, FAR]) as world:
        own = generate_private_key(65_537, 2048)
        keys = make_ring(0).signing_keys
        world.names.publish(FAR, [SigningKey(SELECTOR, own)])
        home = await world.add_station(HOME, signing_keys=keys)
        await home.account("alice")
        address = next_address()
        world.names.say(FAR, "A", address)
        far = Far(FAR, address, world.ports.smtp, HOME, home.address, world.ports.smtp)
        with ExitStack() as stack:
            running = running_postfix(far, world.certificates[FAR], world.ca_file, own, {HOME: keys})
            postfix = await asyncio.to_thread(stack.enter_context, running)
            yield Site(home, postfix)


def mail_of(sender: str) -> bytes:
    return bytes(encrypted_mail(sender=sender))


async def test_postfix_takes_our_mail_and_opendkim_verifies_it(site: Site) -> None:
    assert await site.home.submit("alice", mail_of(ALICE), EVE) == 250

    message = await asyncio.to_thread(site.postfix.wait_for_mail)

    results = re.sub(rb"\r?\n[ \t]+", b" ", message)
    verdict = rb"(?m)^Authentication-Results: far\.example;.* dkim=pass .*header\.s=rsa1"
    assert re.search(verdict, results), results
    assert b"-----BEGIN PGP MESSAGE-----" in message
    await site.home.wait_until_empty()


async def test_mail_that_opendkim_signs_arrives_over_verified_tls(site: Site) -> None:
    await asyncio.to_thread(site.postfix.send, EVE, ALICE, mail_of(EVE), SIGNED)

    (message,) = await site.home.wait_for("alice")

    assert b"-----BEGIN PGP MESSAGE-----" in message
    await asyncio.to_thread(wait_until, lambda: "status=sent (250" in site.postfix.read_log(), 15)
    log = site.postfix.read_log()
    assert re.search(r"Verified TLS connection established to \S*" + re.escape(site.home.address), log), log


async def test_mail_that_it_does_not_sign_is_refused_and_its_user_is_told(site: Site) -> None:
    await asyncio.to_thread(site.postfix.send, EVE, ALICE, mail_of(EVE), UNSIGNED)

    report = await asyncio.to_thread(site.postfix.wait_for_mail)

    assert b"554 5.7.1 No DKIM signature found" in re.sub(rb"\r?\n[ \t]+", b" ", report)
    assert await site.home.inbox("alice") == []
