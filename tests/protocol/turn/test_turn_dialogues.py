"""The TURN server as clients meet it, over loopback."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from ipaddress import ip_network

import pytest

from support.turn_client import IPV6, TurnClient, send_indication, status_of
from support.turn_server import LOOPBACK, SECRET, LoopbackServer, bound, running, wait_until
from turnnode.relay.datagram_batch import MAX_DATAGRAM_BYTES
from turnnode.relay.policy import RelayPolicy
from turnnode.relay.sockets import RelayAddress, bind_datagram
from turnnode.stun.attributes import Address, AttributeType, encode_lifetime
from turnnode.stun.channel_data import encode_channel_data
from turnnode.stun.message import Method

pytestmark = pytest.mark.anyio

CHANNEL = 0x4000


class Peer(asyncio.DatagramProtocol):
    """A peer on loopback that sends back what it gets."""

    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        assert self.transport is not None
        self.transport.sendto(data, addr)


async def peer_on(stack: AsyncExitStack, host: str) -> Address:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = bound(family, host)
    transport, peer = await asyncio.get_running_loop().create_datagram_endpoint(Peer, sock=sock)
    peer.transport = transport
    stack.callback(transport.close)
    address, port = sock.getsockname()[:2]
    return address, port


async def test_data_goes_to_a_peer_and_back_by_channel_and_by_indication() -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        peer = await peer_on(stack, "127.0.0.1")
        client = await stack.enter_async_context(TurnClient(node.address, SECRET))
        await client.allocate()

        assert await client.permit(peer) == 200
        client.send(send_indication(peer, b"by indication"))
        assert await client.receive_data() == (peer, b"by indication")

        assert await client.bind(CHANNEL, peer) == 200
        client.send_channel(CHANNEL, b"by channel")
        assert await client.receive_data() == (CHANNEL, b"by channel")


async def test_bursts_of_many_sizes_keep_their_order_both_ways() -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        peer = await peer_on(stack, "127.0.0.1")
        client = await stack.enter_async_context(TurnClient(node.address, SECRET))
        await client.allocate()
        assert await client.bind(CHANNEL, peer) == 200
        sizes = [1200] * 20 + [700] + [160] * 10 + [2, 1, 160, 1200, 3, 3, 1200]
        burst = [bytes([place]) * size for place, size in enumerate(sizes)]

        for _ in range(2):
            for data in burst:
                client.send_channel(CHANNEL, data)
            assert [await client.receive_data() for _ in burst] == [(CHANNEL, data) for data in burst]
        counters = node.server.counters
        assert counters.packets_to_peers == counters.packets_to_clients == 2 * len(burst)
        assert counters.bytes_to_peers == counters.bytes_to_clients == 2 * sum(sizes)


async def test_padded_data_keeps_its_place_among_other_data() -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        peer = await peer_on(stack, "127.0.0.1")
        client = await stack.enter_async_context(TurnClient(node.address, SECRET))
        await client.allocate()
        assert await client.bind(CHANNEL, peer) == 200
        for turn in range(2):
            for number in range(6):
                padding = bytes(3) if number % 2 else b""
                client.send(encode_channel_data(CHANNEL, bytes([turn, number])) + padding)
        received = [await client.receive_data() for _ in range(12)]
        assert received == [(CHANNEL, bytes([turn, number])) for turn in range(2) for number in range(6)]


async def test_data_goes_over_ipv6() -> None:
    policy = RelayPolicy(realm="r", secrets=(SECRET,), peer_allow=(ip_network("::1/128"),))
    async with running(LoopbackServer(policy=policy)) as node, AsyncExitStack() as stack:
        peer = await peer_on(stack, "::1")
        client = await stack.enter_async_context(TurnClient(node.address_ipv6, SECRET))
        relay = await client.allocate(IPV6)

        assert relay[0] == "::1"
        assert await client.bind(CHANNEL, peer) == 200
        client.send_channel(CHANNEL, b"hello")
        assert await client.receive_data() == (CHANNEL, b"hello")


async def test_two_clients_meet_inside_the_node_over_both_families() -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        alice = await stack.enter_async_context(TurnClient(node.address, SECRET))
        bob = await stack.enter_async_context(
            TurnClient(node.address_ipv6, SECRET, expires_at=time.time() + 7200)
        )
        alice_relay, bob_relay = await alice.allocate(), await bob.allocate()
        assert await alice.bind(CHANNEL, bob_relay) == 200
        assert await bob.bind(CHANNEL + 1, alice_relay) == 200

        alice.send_channel(CHANNEL, b"hello")
        assert await bob.receive_data() == (CHANNEL + 1, b"hello")
        bob.send_channel(CHANNEL + 1, b"hi")
        assert await alice.receive_data() == (CHANNEL, b"hi")
        assert node.server.counters.packets_hairpinned == 2


async def test_published_address_is_told_and_leads_back_inside() -> None:
    relay_address = RelayAddress("127.0.0.1", "9.9.9.9")
    async with running(LoopbackServer(relay=relay_address)) as node, AsyncExitStack() as stack:
        alice = await stack.enter_async_context(TurnClient(node.address, SECRET))
        bob = await stack.enter_async_context(TurnClient(node.address, SECRET))
        alice_relay, bob_relay = await alice.allocate(), await bob.allocate()

        assert alice_relay[0] == bob_relay[0] == "9.9.9.9"
        assert await alice.bind(CHANNEL, bob_relay) == 200
        assert await bob.bind(CHANNEL, alice_relay) == 200
        alice.send_channel(CHANNEL, b"hello")
        assert await bob.receive_data() == (CHANNEL, b"hello")


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "192.168.1.1"])
async def test_peers_that_are_not_globally_routable_are_refused_by_default(host: str) -> None:
    policy = RelayPolicy(realm="r", secrets=(SECRET,))
    async with running(LoopbackServer(policy=policy)) as node, TurnClient(node.address, SECRET) as client:
        await client.allocate()

        assert await client.bind(CHANNEL, (host, 5000)) == 403


async def test_listening_port_is_out_of_reach_through_the_relay() -> None:
    async with running(LoopbackServer()) as node, TurnClient(node.address, SECRET) as client:
        await client.allocate()

        assert await client.bind(CHANNEL, node.address) == 403


async def test_changed_policy_is_in_force_for_the_next_datagram() -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        peer = await peer_on(stack, "127.0.0.1")
        client = await stack.enter_async_context(TurnClient(node.address, SECRET))
        await client.allocate()
        await client.bind(CHANNEL, peer)

        node.policy.replace(RelayPolicy(realm="example.org", secrets=(SECRET,)))
        client.send_channel(CHANNEL, b"x")
        assert await client.bind(CHANNEL, peer) == 403

        node.policy.replace(RelayPolicy(realm="example.org", secrets=(SECRET,), peer_allow=(LOOPBACK,)))
        assert await client.bind(CHANNEL, peer) == 200
        client.send_channel(CHANNEL, b"again")
        assert await client.receive_data() == (CHANNEL, b"again")


async def test_port_is_given_back_when_the_allocation_ends() -> None:
    async with running(LoopbackServer()) as node, TurnClient(node.address, SECRET) as client:
        relay = await client.allocate()
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken,
            pytest.raises(OSError, match="in use"),
        ):
            taken.bind(relay)

        await client.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(relay)


async def test_allocation_is_swept_away_with_its_credential() -> None:
    now = [time.time()]
    async with (
        running(LoopbackServer(clock=lambda: now[0])) as node,
        TurnClient(node.address, SECRET, expires_at=now[0] + 60) as client,
    ):
        await client.allocate()
        now[0] += 60
        await wait_until(lambda: node.server.counters.allocations == 0)

        assert status_of(await client.ask(Method.REFRESH)) == 401


async def test_garbage_does_not_disturb_a_call() -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        peer = await peer_on(stack, "127.0.0.1")
        client = await stack.enter_async_context(TurnClient(node.address, SECRET))
        await client.allocate()
        await client.bind(CHANNEL, peer)

        for garbage in (b"", b"\x40", b"\xff" * 2000, bytes(MAX_DATAGRAM_BYTES + 1), b"\x00\x01" * 30):
            client.send(garbage)
        client.send_channel(CHANNEL, b"still here")
        assert await client.receive_data() == (CHANNEL, b"still here")


async def test_unwinding_closes_relay_ports_and_leaves_the_listeners_to_their_owner() -> None:
    node = LoopbackServer()
    async with AsyncExitStack() as stack:
        await node.server.start(stack)
        client = await stack.enter_async_context(TurnClient(node.address, SECRET))
        host, port = await client.allocate()

    bind_datagram(host, port, socket.AF_INET).close()
    for listener in (*node.listeners, node.tcp, node.tls):
        assert listener.fileno() >= 0
        listener.close()
