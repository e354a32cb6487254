"""Clients over TCP and TLS, against a real server on loopback."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from support.pages_tls import certify_loopback
from support.turn_client import (
    SOON_SECONDS,
    UDP,
    TurnClient,
    send_indication,
    status_of,
)
from support.turn_server import LOOPBACK, SECRET, LoopbackServer, bound, running, wait_until
from support.turn_stream import TurnStreamClient, client_context, offering
from turnnode.relay.connections import LONELY_SECONDS, MESSAGE_SECONDS, ConnectionLimit
from turnnode.relay.policy import RelayPolicy
from turnnode.stun.attributes import AttributeType, encode_first_octet
from turnnode.stun.message import Method

pytestmark = pytest.mark.anyio

CHANNEL = 0x4000


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "certificate.pem"
    file.write_bytes(certify_loopback())
    return file


def limited(limit: ConnectionLimit) -> RelayPolicy:
    return RelayPolicy(realm="r", secrets=(SECRET,), peer_allow=(LOOPBACK,), connections=limit)


def client_of(node: LoopbackServer, transport: str, certificate: Path) -> TurnStreamClient:
    if transport == "tcp":
        return TurnStreamClient(node.address_tcp, SECRET)
    return TurnStreamClient(node.address_tls, SECRET, tls=client_context(certificate, "stun.turn"))


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_data_of_every_size_goes_out_and_back(transport: str, certificate: Path) -> None:
    async with running(LoopbackServer(tls=offering(certificate))) as node, AsyncExitStack() as stack:
        peer = stack.enter_context(bound(socket.AF_INET, "127.0.0.1"))
        peer.settimeout(SOON_SECONDS)
        client = await stack.enter_async_context(client_of(node, transport, certificate))
        assert client.alpn == (None if transport == "tcp" else "stun.turn")
        relay = await client.allocate()
        assert await client.bind(CHANNEL, peer.getsockname()) == 200

        for size in (0, 1, 2, 3, 4, 5, 1199, 1200):
            client.send_channel(CHANNEL, b"x" * size)
            assert await asyncio.to_thread(peer.recvfrom, 2000) == (b"x" * size, relay)
            peer.sendto(b"y" * size, relay)
            assert await client.receive_data() == (CHANNEL, b"y" * size)
        client.send(send_indication(peer.getsockname(), b"odd"))
        assert (await asyncio.to_thread(peer.recvfrom, 2000))[0] == b"odd"


async def test_clients_of_every_transport_meet_inside_the_node(certificate: Path) -> None:
    async with running(LoopbackServer(tls=offering(certificate))) as node, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(client)
            for client in (
                TurnClient(node.address, SECRET),
                client_of(node, "tcp", certificate),
                client_of(node, "tls", certificate),
            )
        ]
        relays = [await client.allocate() for client in clients]
        for one in clients:
            for number, relay in enumerate(relays):
                assert await one.bind(CHANNEL + number, relay) == 200
        for sender, one in enumerate(clients):
            for receiver, other in enumerate(clients):
                if one is not other:
                    one.send_channel(CHANNEL + receiver, b"hello")
                    assert await other.receive_data() == (CHANNEL + sender, b"hello")


async def test_handshake_needs_no_alpn_and_no_server_name(certificate: Path) -> None:
    async with running(LoopbackServer(tls=offering(certificate))) as node:
        for context in (client_context(certificate), client_context(certificate, "h2")):
            async with TurnStreamClient(node.address_tls, SECRET, tls=context) as client:
                assert client.alpn is None
                await client.allocate()


async def test_relay_by_tcp_to_peers_gets_442() -> None:
    by_tcp = (AttributeType.REQUESTED_TRANSPORT, encode_first_octet(6))
    async with running(LoopbackServer()) as node:
        for client in (TurnStreamClient(node.address_tcp, SECRET), TurnClient(node.address, SECRET)):
            async with client:
                assert status_of(await client.ask(Method.ALLOCATE, by_tcp)) == 442


async def test_connection_that_ends_takes_its_allocation_along() -> None:
    async with running(LoopbackServer()) as node:
        async with TurnStreamClient(node.address_tcp, SECRET) as client:
            host, port = await client.allocate()
        await wait_until(lambda: node.server.counters.allocations == 0)
        bound_again = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with bound_again:
            bound_again.bind((host, port))


async def test_nonce_of_a_connection_is_worth_nothing_by_udp() -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        over_tcp = await stack.enter_async_context(TurnStreamClient(node.address_tcp, SECRET))
        await over_tcp.allocate()
        over_udp = await stack.enter_async_context(TurnClient(node.address, SECRET))
        over_udp.writer.realm, over_udp.writer.nonce = over_tcp.writer.realm, over_tcp.writer.nonce
        nonce = over_udp.writer.nonce
        await over_udp.ask(Method.ALLOCATE, UDP)

        assert over_udp.writer.nonce != nonce  # a 438 has brought another one


async def test_garbage_ends_its_connection_and_no_other() -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        good = await stack.enter_async_context(TurnStreamClient(node.address_tcp, SECRET))
        await good.allocate()
        bad = await stack.enter_async_context(TurnStreamClient(node.address_tcp, SECRET))
        bad.writer_stream.write(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        with pytest.raises((EOFError, ConnectionError)):
            await bad.receive()

        assert status_of(await good.ask(Method.REFRESH)) == 200


async def test_source_with_too_many_connections_is_turned_away_until_one_ends() -> None:
    policy = limited(ConnectionLimit(of_one_source=2))
    async with running(LoopbackServer(policy=policy)) as node, AsyncExitStack() as stack:
        first = await stack.enter_async_context(TurnStreamClient(node.address_tcp, SECRET))
        second = await stack.enter_async_context(TurnStreamClient(node.address_tcp, SECRET))
        assert (
            status_of(await first.ask(Method.BINDING)) == status_of(await second.ask(Method.BINDING)) == 200
        )
        third = await stack.enter_async_context(TurnStreamClient(node.address_tcp, SECRET))
        with pytest.raises((EOFError, ConnectionError)):
            await third.ask(Method.BINDING)
        assert node.server.counters.connections_refused == 1

        first.writer_stream.close()
        async with asyncio.timeout(SOON_SECONDS):
            while True:
                async with TurnStreamClient(node.address_tcp, SECRET) as again:
                    try:
                        assert status_of(await again.ask(Method.BINDING)) == 200
                    except (EOFError, ConnectionError):
                        continue
                    break


@pytest.mark.parametrize(
    ("said", "waited"), [(b"", LONELY_SECONDS), (b"\x00\x01\x00\x08\x21\x12", MESSAGE_SECONDS)]
)
async def test_connection_that_says_too_little_is_closed(said: bytes, waited: int) -> None:
    now = [1000.0]
    async with (
        running(LoopbackServer(monotonic=lambda: now[0])) as node,
        TurnStreamClient(node.address_tcp, SECRET) as client,
    ):
        client.writer_stream.write(said)
        await asyncio.sleep(0.2)
        now[0] += waited - 1
        await asyncio.sleep(0.2)
        assert not client.reader.at_eof()
        now[0] += 1
        with pytest.raises((EOFError, ConnectionError)):
            await client.receive()


async def test_connection_with_a_call_stays_open() -> None:
    now = [1000.0]
    async with (
        running(LoopbackServer(monotonic=lambda: now[0])) as node,
        TurnStreamClient(node.address_tcp, SECRET) as client,
    ):
        await client.allocate()
        await asyncio.sleep(0.1)
        now[0] += LONELY_SECONDS + 1
        await asyncio.sleep(0.1)

        assert status_of(await client.ask(Method.REFRESH)) == 200


async def test_client_that_reads_nothing_costs_a_bounded_memory() -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        peer = stack.enter_context(bound(socket.AF_INET, "127.0.0.1"))
        client = await stack.enter_async_context(TurnStreamClient(node.address_tcp, SECRET))
        relay = await client.allocate()
        await client.bind(CHANNEL, peer.getsockname())
        client.writer_stream.transport.pause_reading()  # type: ignore[attr-defined] # it is a read transport

        async with asyncio.timeout(SOON_SECONDS):
            while not node.server.counters.dropped_unsent:
                for _ in range(100):
                    peer.sendto(bytes(1200), relay)
                await asyncio.sleep(0)


async def test_credential_that_ends_takes_the_call_over_tcp_along() -> None:
    now = [time.time()]
    async with (
        running(LoopbackServer(clock=lambda: now[0])) as node,
        TurnStreamClient(node.address_tcp, SECRET, expires_at=now[0] + 60) as client,
    ):
        await client.allocate()
        now[0] += 60
        await wait_until(lambda: node.server.counters.allocations == 0)


async def test_unwinding_ends_connections_and_handshakes_and_leaves_the_listeners(certificate: Path) -> None:
    node = LoopbackServer(tls=offering(certificate))
    async with AsyncExitStack() as stack:
        for listener in (*node.listeners, node.tcp, node.tls):
            stack.callback(listener.close)
        async with AsyncExitStack() as serving:
            await node.server.start(serving)
            client = await stack.enter_async_context(TurnStreamClient(node.address_tcp, SECRET))
            await client.allocate()
            _, silent = await asyncio.open_connection(*node.address_tls)
            stack.callback(silent.transport.abort)
            await asyncio.sleep(0.1)
            started = time.monotonic()
        assert time.monotonic() - started < SOON_SECONDS
        with pytest.raises((EOFError, ConnectionError)):
            await client.receive()
        assert node.tcp.fileno() >= 0
