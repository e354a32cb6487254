"""A server that goes on with the calls of another one: what it takes over, and what it ends."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from support.kept_sockets import KeptSockets, duplicate
from support.turn_client import UDP, TurnClient, lifetime_of, relay_of, status_of
from support.turn_server import SECRET, LoopbackServer, bound, running
from turnnode.relay.journal import Journal
from turnnode.relay.ports import PortRange
from turnnode.relay.sockets import RelayAddress, bind_datagram
from turnnode.stun.attributes import Address, AttributeType, encode_lifetime
from turnnode.stun.message import Method

pytestmark = pytest.mark.anyio

CHANNEL = 0x4000


class Site:
    """Two peers' worth of one call, and the servers that follow one another."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self.path = directory / "allocations"
        self.keeper = KeptSockets()
        self.now = 1000.0
        self.listeners = [bound(socket.AF_INET, "127.0.0.1"), bound(socket.AF_INET6, "::1")]
        self.peer = bound(socket.AF_INET, "127.0.0.1")
        self.peer.settimeout(5)
        self._stack = stack
        for sock in (*self.listeners, self.peer):
            stack.callback(sock.close)
        stack.callback(self.keeper.close)

    def server(
        self,
        *,
        ports: PortRange | None = None,
        relay: RelayAddress | None = None,
        listeners: list[socket.socket] | None = None,
    ) -> LoopbackServer:
        """Build a server that goes on with what is kept and remembered."""
        return LoopbackServer(
            ports=ports,
            relay=relay,
            memory=Journal(self.path),
            keeper=self.keeper,
            listeners=list(map(duplicate, listeners or self.listeners)),
            monotonic=lambda: self.now,
        )

    async def client(self, node: LoopbackServer) -> TurnClient:
        return await self._stack.enter_async_context(TurnClient(node.address, SECRET))

    @property
    def peer_address(self) -> Address:
        host, port = self.peer.getsockname()
        return host, port

    async def exchange(self, client: TurnClient, relay: Address) -> None:
        """Send a packet each way."""
        client.send_channel(CHANNEL, b"there")
        assert await asyncio.to_thread(self.peer.recvfrom, 100) == (b"there", relay)
        self.peer.sendto(b"back", relay)
        assert await client.receive_data() == (CHANNEL, b"back")


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[tuple[Site, TurnClient, Address]]:
    """Open a site whose first server has served one call, and has ended."""
    async with AsyncExitStack() as stack:
        site = Site(directory, stack)
        async with running(site.server()) as node:
            client = await site.client(node)
            relay = await client.allocate()
            assert await client.bind(CHANNEL, site.peer_address) == 200
            await site.exchange(client, relay)
        yield site, client, relay


async def test_call_goes_on_and_its_nonce_holds(tmp_path: Path) -> None:
    async with opened(tmp_path) as (site, client, relay), running(site.server()) as node:
        assert node.server.counters.allocations == 1
        assert node.server.counters.allocations_made == 0
        await site.exchange(client, relay)
        client.send(client.writer.write(Method.REFRESH))
        assert status_of(await client.ask(Method.REFRESH)) == 200
        assert node.server.counters.refused.total() == 0


async def test_packets_of_the_meantime_arrive(tmp_path: Path) -> None:
    async with opened(tmp_path) as (site, client, relay):
        for number in range(50):
            client.send_channel(CHANNEL, b"%d" % number)
            site.peer.sendto(b"%d" % number, relay)
        async with running(site.server()):
            loop = asyncio.get_running_loop()
            for number in range(50):
                assert await loop.sock_recv(site.peer, 100) == b"%d" % number
                assert await client.receive_data() == (CHANNEL, b"%d" % number)


async def test_second_and_third_server_know_the_call_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as (site, client, relay):
        for _ in range(3):
            async with running(site.server()):
                await site.exchange(client, relay)
    assert list(site.keeper.kept) == ["r1"]


async def test_repeated_allocate_request_gets_the_answer_of_the_former_server(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        site = Site(tmp_path, stack)
        transaction_id = os.urandom(12)
        async with running(site.server()) as node:
            client = await site.client(node)
            first = await client.ask(Method.ALLOCATE, UDP, transaction_id=transaction_id)
        async with running(site.server()):
            again = await client.ask(Method.ALLOCATE, UDP, transaction_id=transaction_id)
            other = await client.ask(Method.ALLOCATE, UDP)

    assert relay_of(again) == relay_of(first)
    assert lifetime_of(again) == lifetime_of(first)
    assert status_of(other) == 437


async def test_port_of_a_call_is_not_given_to_another_client(tmp_path: Path) -> None:
    async with (
        opened(tmp_path) as (site, client, (host, port)),
        running(site.server(ports=PortRange(port, port))) as node,
    ):
        other = await site.client(node)
        assert status_of(await other.ask(Method.ALLOCATE, UDP)) == 508
        await client.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))
        assert await other.allocate() == (host, port)


async def test_call_that_ends_is_neither_kept_nor_remembered(tmp_path: Path) -> None:
    async with opened(tmp_path) as (site, client, (host, port)):
        async with running(site.server()):
            await client.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))
        assert site.keeper.kept == {}
        assert Journal(site.path).recall().allocations == {}
        bind_datagram(host, port, socket.AF_INET).close()


@pytest.mark.parametrize(("seconds", "status"), [(599, 200), (600, 437), (601, 437)])
async def test_call_whose_time_is_over_has_ended(tmp_path: Path, seconds: int, status: int) -> None:
    async with opened(tmp_path) as (site, client, _):
        site.now += seconds
        async with running(site.server()):
            assert status_of(await client.ask(Method.REFRESH)) == status
            assert len(site.keeper.kept) == (status == 200)


async def test_clock_that_went_back_ends_calls_instead_of_keeping_them_for_ever(tmp_path: Path) -> None:
    async with opened(tmp_path) as (site, client, _):
        site.now -= 1
        async with running(site.server()):
            assert status_of(await client.ask(Method.REFRESH)) == 437


@pytest.mark.parametrize("published", ["127.0.0.1", "127.0.0.2"])
async def test_call_whose_published_address_has_changed_has_ended(tmp_path: Path, published: str) -> None:
    async with (
        opened(tmp_path) as (site, client, _),
        running(site.server(relay=RelayAddress("127.0.0.1", published))),
    ):
        is_same = published == "127.0.0.1"
        assert status_of(await client.ask(Method.REFRESH)) == (200 if is_same else 437)
        assert len(site.keeper.kept) == is_same


async def test_call_whose_relay_port_is_out_of_range_has_ended(tmp_path: Path) -> None:
    async with (
        opened(tmp_path) as (site, client, (host, port)),
        running(site.server(ports=PortRange(1024, 1030))),
    ):
        assert status_of(await client.ask(Method.REFRESH)) == 437
        assert site.keeper.kept == {}
        bind_datagram(host, port, socket.AF_INET).close()


async def test_call_whose_listening_address_is_gone_has_ended(tmp_path: Path) -> None:
    async with (
        opened(tmp_path) as (site, _, (host, port)),
        running(site.server(listeners=site.listeners[1:])),
    ):
        assert site.keeper.kept == {}
        bind_datagram(host, port, socket.AF_INET).close()


async def test_what_is_remembered_without_its_socket_has_ended(tmp_path: Path) -> None:
    async with opened(tmp_path) as (site, client, _):
        site.keeper.let_go("r1")
        async with running(site.server()):
            assert status_of(await client.ask(Method.REFRESH)) == 437
            await client.allocate()


@pytest.mark.parametrize("journal", [b"", b"garbage", None])
async def test_socket_that_nobody_remembers_is_closed(tmp_path: Path, journal: bytes | None) -> None:
    async with opened(tmp_path) as (site, client, (host, port)):
        if journal is None:
            site.path.unlink()
        else:
            site.path.write_bytes(journal)
        async with running(site.server()):
            assert site.keeper.kept == {}
            bind_datagram(host, port, socket.AF_INET).close()
            await client.allocate()
