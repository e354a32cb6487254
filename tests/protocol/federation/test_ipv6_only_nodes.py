"""Nodes whose mail domains are IPv6 addresses, and that know nothing of one another, in a network of IPv6."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mailnode.peering.policy import PeerPolicy
from mailnode.peering.reception import WRONG_SOURCE
from nodelink.contract.federation import PeerTransport
from support.openpgp_messages import encrypted_mail
from support.own_network import own_network
from support.peering_site import PeerStation, PeerWorld, open_world

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace"),
]

ONE, TWO, THREE = "2001:db8::1", "2001:db8::2", "2001:db8::3"
BOB, EVE = f"bob@[IPv6:{TWO}]", f"eve@[IPv6:{ONE}]"
MAIL = bytes(encrypted_mail(sender=EVE))


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    with own_network(*(f"{address}/64" for address in (ONE, TWO, THREE))):
        yield


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[PeerWorld]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture(params=[PeerTransport.HTTPS, PeerTransport.SMTP])
def policy(request: pytest.FixtureRequest) -> PeerPolicy:
    return PeerPolicy(is_enabled=True, transports=frozenset((request.param,)))


async def add_bob(world: PeerWorld, policy: PeerPolicy) -> PeerStation:
    station = await world.add_station(None, TWO, policy=policy)
    await station.account("bob")
    return station


async def test_strangers_exchange_mail_and_ask_no_name_server(world: PeerWorld, policy: PeerPolicy) -> None:
    one, two = await world.add_station(None, ONE, policy=policy), await add_bob(world, policy)
    answer = bytes(encrypted_mail(sender=BOB))

    await one.submit("eve", MAIL, BOB)
    await two.submit("bob", answer, EVE)

    assert await two.wait_for("bob") == [MAIL]
    assert await one.wait_for("eve") == [answer]
    assert world.names.asked == []


async def test_a_node_shows_a_certificate_for_its_address_and_no_other(world: PeerWorld) -> None:
    await world.add_station(None, TWO)
    context = ssl.create_default_context(cafile=world.ca_file)

    _, writer = await asyncio.open_connection(TWO, world.ports.https, ssl=context)
    writer.close()

    with pytest.raises(ssl.SSLCertVerificationError, match=f"not valid for '{ONE}'"):
        await asyncio.open_connection(TWO, world.ports.https, ssl=context, server_hostname=ONE)


async def test_every_way_to_write_an_address_leads_to_it(world: PeerWorld, policy: PeerPolicy) -> None:
    one, two = await world.add_station(None, ONE, policy=policy), await add_bob(world, policy)

    await one.submit("eve", MAIL, "bob@[ipv6:2001:0DB8:0:0:0::2]")

    assert await two.wait_for("bob") == [MAIL]


async def test_mail_of_an_address_that_comes_from_another_is_refused(
    world: PeerWorld, policy: PeerPolicy
) -> None:
    two = await add_bob(world, policy)
    forger = await world.add_station(f"[IPv6:{ONE}]", THREE, policy=policy)

    await forger.submit("eve", MAIL, BOB)

    (report,) = await forger.wait_for("eve")
    assert f"{BOB}: " in report.decode()
    assert WRONG_SOURCE in report.decode()
    assert await two.inbox("bob") == []
