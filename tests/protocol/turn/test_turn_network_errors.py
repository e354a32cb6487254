"""ICMP errors: what routers and hosts answer to relayed data reaches the client, and disturbs nobody."""

import asyncio
import socket
from contextlib import AsyncExitStack
from ipaddress import ip_network

import pytest

from support.turn_client import IPV6, SOON_SECONDS, TurnClient, send_indication
from support.turn_server import LOOPBACK, SECRET, LoopbackServer, bound, running
from turnnode.relay.policy import RelayPolicy
from turnnode.stun.attributes import Address, AttributeType, decode_icmp, decode_xor_address
from turnnode.stun.message import Message, MessageClass, Method, decode, encode

pytestmark = pytest.mark.anyio

WHOLE = (AttributeType.DONT_FRAGMENT, b"")  # of clients that know of ICMP errors
PORT_UNREACHABLE = (3, 3, 0)
PORT_UNREACHABLE_IPV6 = (1, 4, 0)


def closed_port(host: str) -> Address:
    """Return an address where nobody listens."""
    with bound(socket.AF_INET6 if ":" in host else socket.AF_INET, host) as sock:
        address, port = sock.getsockname()[:2]
        return address, port


def both_families() -> LoopbackServer:
    networks = (LOOPBACK, ip_network("::1/128"))
    return LoopbackServer(policy=RelayPolicy(realm="example.org", secrets=(SECRET,), peer_allow=networks))


async def told(client: TurnClient) -> tuple[Address, tuple[int, int, int]]:
    """Receive a Data indication with an ICMP error; return the peer and what it says."""
    message = decode(await client.receive())
    assert (message.method, message.message_class) == (Method.DATA, MessageClass.INDICATION)
    assert message.find(AttributeType.DATA) is None
    peer, icmp = message.find(AttributeType.XOR_PEER_ADDRESS), message.find(AttributeType.ICMP)
    assert peer is not None
    assert icmp is not None
    return decode_xor_address(peer, message.transaction_id), decode_icmp(icmp)


@pytest.mark.parametrize(("host", "said"), [("127.0.0.1", PORT_UNREACHABLE), ("::1", PORT_UNREACHABLE_IPV6)])
async def test_client_is_told_that_its_peers_port_is_closed(host: str, said: tuple[int, int, int]) -> None:
    async with running(both_families()) as node, TurnClient(node.address, SECRET) as client:
        await client.allocate(WHOLE, *([IPV6] if ":" in host else []))
        peer = closed_port(host)
        assert await client.permit(peer) == 200
        client.send(send_indication(peer, b"anybody there?"))
        assert await told(client) == (peer, said)

        assert await client.bind(0x4000, peer) == 200
        client.send_channel(0x4000, b"and now?")
        assert await told(client) == (peer, said)


async def test_dead_candidates_cost_a_living_peer_no_datagram() -> None:
    async with running(both_families()) as node, AsyncExitStack() as stack:
        client = await stack.enter_async_context(TurnClient(node.address, SECRET))
        living = stack.enter_context(bound(socket.AF_INET, "127.0.0.1"))
        living.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name
        await client.allocate(WHOLE)
        dead = closed_port("127.0.0.1")
        assert await client.permit(living.getsockname()) == 200
        for number in range(200):
            client.send(send_indication(dead, b"x"))
            client.send(send_indication(living.getsockname(), number.to_bytes(2)))
        errors = [await told(client) for _ in range(200)]

        assert {peer for peer, _ in errors} == {dead}
        assert [int.from_bytes(living.recv(100)) for _ in range(200)] == list(range(200))
        assert node.server.counters.dropped_unsent == 0


async def test_client_that_may_not_know_of_errors_is_told_of_none() -> None:
    async with running(both_families()) as node, AsyncExitStack() as stack:
        client = await stack.enter_async_context(TurnClient(node.address, SECRET))
        peer = stack.enter_context(bound(socket.AF_INET, "127.0.0.1"))
        relay = await client.allocate()
        dead = closed_port("127.0.0.1")
        assert await client.permit(dead) == 200
        client.send(send_indication(dead, b"x"))
        await asyncio.sleep(0.1)
        peer.sendto(b"data", relay)

        assert await client.receive_data() == (peer.getsockname(), b"data")


async def test_datagram_that_must_not_be_divided_reaches_its_peer() -> None:
    async with running(both_families()) as node, AsyncExitStack() as stack:
        client = await stack.enter_async_context(TurnClient(node.address, SECRET))
        living = stack.enter_context(bound(socket.AF_INET, "127.0.0.1"))
        await client.allocate((AttributeType.DONT_FRAGMENT, b""))
        assert await client.permit(living.getsockname()) == 200
        whole = decode(send_indication(living.getsockname(), b"in one piece"))
        mark = (AttributeType.DONT_FRAGMENT, b"")
        client.send(
            encode(
                Message(whole.method, whole.message_class, whole.transaction_id, (*whole.attributes, mark))
            )
        )

        living.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name
        async with asyncio.timeout(SOON_SECONDS):
            assert await asyncio.get_running_loop().sock_recv(living, 100) == b"in one piece"
