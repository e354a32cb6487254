"""Serve clients over TCP and TLS: accept, cut into messages, hand each to the machine, write the answers.

    listening socket ─▶ StreamDoor ─ admitted ─▶ TLS? ─▶ StreamConnection ─▶ machine ─▶ any outlet
                                                             ▲ Side.outlet, by the client's address

For: clients behind firewalls that let no UDP through; the data of their calls never enters the kernel's path.
Not for: relaying by TCP to peers (RFC 6062), which we refuse.

Nothing is due before an answer (dues.py): neither the journal nor a data path learns of these allocations.

A connection ends with the process: no other process can go on with its TLS. What its client held ends, too.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Protocol, cast

import structlog

from turnnode.errors import StunFormatError
from turnnode.relay.allocation import ClientTransport, Side
from turnnode.relay.connections import HANDSHAKE_SECONDS, ConnectionCount, ConnectionLimit, Patience
from turnnode.relay.counters import RelayCounters
from turnnode.relay.machine import Send
from turnnode.relay.sockets import address_of
from turnnode.stun.attributes import Address
from turnnode.stun.framing import StreamFraming, pad_frame

MAX_UNSENT_BYTES: Final = 256 << 10  # what a client does not read; more is lost, as datagrams are
ACCEPT_PAUSE_SECONDS: Final = 0.1
ALPN: Final = ("stun.turn",)  # RFC 7443

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class StreamMachine(Protocol):
    """Whoever decides what becomes of a message."""

    def from_client(self, side: Side, datagram: bytes, client: Address, now: float) -> Send | None:
        """Take a message."""

    def client_left(self, side: Side, client: Address) -> None:
        """End what a client held."""


@dataclass(frozen=True, slots=True)
class StreamListener:
    """A listening TCP socket; with `tls`, clients begin with a handshake. The socket stays its opener's."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None

    @property
    def transport(self) -> ClientTransport:
        """By what its clients reach us."""
        return ClientTransport.TCP if self.tls is None else ClientTransport.TLS


class StreamDoor:
    """One listening socket and the connections that came in there; all doors share one count."""

    def __init__(  # noqa: PLR0913 - each is a part that the server decides
        self,
        listener: StreamListener,
        machine: StreamMachine,
        *,
        counters: RelayCounters,
        count: ConnectionCount,
        limit: Callable[[], ConnectionLimit],
        clock: Callable[[], float],
    ) -> None:
        self.listener = listener
        self.machine = machine
        self.counters = counters
        self.clock = clock
        self.side = Side(address_of(listener.socket), self, transport=listener.transport)
        self.connections: dict[Address, StreamConnection] = {}
        self._count = count
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, data: bytes, address: Address) -> None:
        """Write one message to a client, or lose it."""
        connection = self.connections.get(address)
        if connection is None or not connection.write(pad_frame(data)):
            self.counters.dropped_unsent += 1

    def send_together(self, datagrams: Sequence[bytes], address: Address) -> None:
        """Write some messages to a client."""
        for datagram in datagrams:
            self.send(datagram, address)

    async def start(self, stack: AsyncExitStack) -> None:
        """Accept until `stack` unwinds, or `leave`."""
        group = await stack.enter_async_context(asyncio.TaskGroup())
        self._spawn(group, self._accept(group))
        stack.callback(self.leave)

    def leave(self) -> None:
        """Accept no more and end what is open, at once."""
        for task in self._tasks:
            task.cancel()

    def _spawn(self, group: asyncio.TaskGroup, work: Coroutine[object, object, None]) -> None:
        task = group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def sweep(self, now: float) -> None:
        """Close the connections that are of no use."""
        for address, connection in list(self.connections.items()):
            if connection.is_useless(now, has_allocation=address in self.side.allocations):
                connection.abort()

    async def _accept(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        self.listener.socket.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name
        while True:
            try:
                accepted, address = await loop.sock_accept(self.listener.socket)
            except OSError as error:
                log.warning("connection not accepted", problem=str(error))
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            if self._count.admit(self._limit(), address[0]):
                self._spawn(group, self._welcome(accepted, (address[0], address[1])))
            else:
                self.counters.connections_refused += 1
                accepted.close()

    async def _welcome(self, accepted: socket.socket, client: Address) -> None:
        """Shake hands and wait for the end, which gives the place back."""
        loop = asyncio.get_running_loop()
        connection = StreamConnection(self, client)
        try:
            await loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self.listener.tls,
                ssl_handshake_timeout=None if self.listener.tls is None else HANDSHAKE_SECONDS,
            )
            await connection.ended.wait()
        except OSError:  # no handshake, or gone before it was begun
            accepted.close()
        finally:
            connection.abort()
            self._count.release(client[0])


class StreamConnection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, door: StreamDoor, client: Address) -> None:
        self.ended = asyncio.Event()
        self._door = door
        self._client = client
        self._framing = StreamFraming()
        self._patience = Patience(door.clock())
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._door.connections[self._client] = self

    def data_received(self, data: bytes) -> None:
        """Hand on what is whole; end a stream in which nothing more can be found."""
        door = self._door
        now = door.clock()
        try:
            for message in self._framing.feed(data):
                self._patience.message_since = None
                send = door.machine.from_client(door.side, message, self._client, now)
                if send is not None:
                    send.outlet.send(send.data, send.address)
        except StunFormatError:
            door.counters.dropped_garbage += 1
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """End what the client held."""
        if self._door.connections.get(self._client) is self:
            del self._door.connections[self._client]
            self._door.machine.client_left(self._door.side, self._client)
        self.ended.set()

    def write(self, data: bytes) -> bool:
        """Write, unless the client has not read enough of what it was sent."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(data) > MAX_UNSENT_BYTES:
            return False
        transport.write(data)
        return True

    def is_useless(self, now: float, *, has_allocation: bool) -> bool:
        """Tell whether there is no point in waiting for more."""
        return self._patience.is_over(
            now, has_allocation=has_allocation, is_within_message=self._framing.is_within_message
        )

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()
