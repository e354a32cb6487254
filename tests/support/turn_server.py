"""A real TURN server on loopback, for dialogues."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network

from turnnode.relay.memory import AllocationMemory, SocketKeeper
from turnnode.relay.policy import RelayPolicy, RelayPolicyHolder
from turnnode.relay.ports import PortRange
from turnnode.relay.server import TurnServer
from turnnode.relay.sockets import RelayAddress
from turnnode.relay.streams import StreamListener
from turnnode.stun.attributes import Address

SECRET = "the fleet's secret"
SOON_SECONDS = 10
LOOPBACK = ip_network("127.0.0.0/8")


class LoopbackServer:
    """A server with one IPv4 and one IPv6 listening socket; `clock` is its calendar, too."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        ports: PortRange | None = None,
        relay: RelayAddress | None = None,
        policy: RelayPolicy | None = None,
        memory: AllocationMemory | None = None,
        keeper: SocketKeeper | None = None,
        listeners: list[socket.socket] | None = None,
        monotonic: Callable[[], float] | None = None,
        former: list[socket.socket] | None = None,
        forward_seconds: float = 3600,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.policy = RelayPolicyHolder(
            policy or RelayPolicy(realm="example.org", secrets=(SECRET,), peer_allow=(LOOPBACK,))
        )
        self.left: list[socket.socket] = []
        self.listeners = listeners or [bound(socket.AF_INET, "127.0.0.1"), bound(socket.AF_INET6, "::1")]
        self.tcp, self.tls = listening(), listening()
        self.server = TurnServer(
            listeners=self.listeners,
            former=former or (),
            left=self.left.append,
            forward_seconds=forward_seconds,
            streams=[StreamListener(self.tcp), *([StreamListener(self.tls, tls)] if tls else [])],
            relay_addresses=[relay or RelayAddress("127.0.0.1", "127.0.0.1"), RelayAddress("::1", "::1")],
            policy=self.policy,
            ports=ports,
            memory=memory,
            keeper=keeper,
            clock=monotonic or clock or time.monotonic,
            calendar=clock or time.time,
            sweep_seconds=0.01,
        )

    @property
    def address(self) -> Address:
        host, port = self.listeners[0].getsockname()
        return host, port

    @property
    def address_ipv6(self) -> Address:
        host, port = self.listeners[1].getsockname()[:2]
        return host, port

    @property
    def address_tcp(self) -> Address:
        host, port = self.tcp.getsockname()
        return host, port

    @property
    def address_tls(self) -> Address:
        host, port = self.tls.getsockname()
        return host, port

    @property
    def url(self) -> str:
        return f"turn:{self.address[0]}:{self.address[1]}"


def bound(family: socket.AddressFamily, host: str) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((host, 0))
    return sock


def listening() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


@asynccontextmanager
async def running(server: LoopbackServer) -> AsyncIterator[LoopbackServer]:
    """Serve while the context lasts."""
    async with AsyncExitStack() as stack:
        for listener in (*server.listeners, server.tcp, server.tls):
            stack.callback(listener.close)
        await server.server.start(stack)
        yield server


async def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something that tells nobody has happened, such as a counter's change."""
    async with asyncio.timeout(SOON_SECONDS):
        while not holds():  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.01)
