"""Running calls through a TURN node: 50 packets a second each way, numbered, and what became of them.

    A ◀── channels, both ways ──▶ B           two allocations of one node, which hairpins
    C ◀── Send and Data indications ──▶ peer  a plain socket outside
    D ◀── channel ──▶ peer                    another one
    every 200 ms somebody new allocates, and gives it back

All run in one thread with a loop of its own, so that a test may wait for a playbook meanwhile.
"""

import asyncio
import itertools
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from struct import Struct
from typing import Self

from support.turn_client import (
    UDP,
    Attribute,
    RequestWriter,
    TurnCredential,
    channel_attribute,
    peer_attribute,
    relay_of,
    send_indication,
    status_of,
)
from turnnode.stun.attributes import Address, AttributeType, encode_lifetime
from turnnode.stun.channel_data import decode_channel_data, encode_channel_data, is_channel_data
from turnnode.stun.message import TRANSACTION_ID_BYTES, Message, Method, decode

PACKET_SECONDS = 0.02
NEWCOMER_SECONDS = 0.2
RETRY_SECONDS = 0.25
ANSWER_SECONDS = 10
STRAGGLER_SECONDS = 0.5
CREDENTIAL_SECONDS = 3600
CLIENT_NICENESS = -15
FIRST_NEWCOMER_PORTS = 10_000, 20_000
"""Newcomers have ports that the system gives nobody: at one that a client has left without a word, its
allocation lives on for ten minutes, and whoever comes there then is rightly refused (437)."""
CHANNEL = 0x4000
FILLING = bytes(152)
_NUMBER = Struct("!Q")

Deliver = Callable[[bytes], None]


@dataclass(slots=True)
class Flow:
    """One direction of one call."""

    name: str
    sent: int = 0
    received: set[int] = field(default_factory=set)
    longest_gap_seconds: float = 0
    _last_at: float = 0

    def next_packet(self) -> bytes:
        self.sent += 1
        return _NUMBER.pack(self.sent) + FILLING

    def arrive(self, packet: bytes) -> None:
        now = time.monotonic()
        if self._last_at:
            self.longest_gap_seconds = max(self.longest_gap_seconds, now - self._last_at)
        self._last_at = now
        self.received.add(_NUMBER.unpack_from(packet)[0])


@dataclass(slots=True)
class Figures:
    """What happened while something was done to the node."""

    longest_gap_seconds: float = 0
    sent: int = 0
    lost: int = 0
    newcomers: int = 0
    refused: int = 0
    refused_with: list[list[int]] = field(default_factory=list)
    slowest_newcomer_seconds: float = 0
    client_late_seconds: float = 0

    def __str__(self) -> str:
        return (
            f"longest gap {1000 * self.longest_gap_seconds:.0f} ms, {self.lost} of {self.sent} packets lost, "
            f"{self.refused} of {self.newcomers} new allocations refused, "
            f"the slowest took {1000 * self.slowest_newcomer_seconds:.0f} ms "
            f"(the client itself was late by up to {1000 * self.client_late_seconds:.0f} ms)"
        )


class Leg(asyncio.DatagramProtocol):
    """A client with a socket of its own; it repeats what is not answered, as clients do."""

    def __init__(self, server: Address, secret: str) -> None:
        self.deliver: Deliver = lambda _: None
        self._server = server
        self._writer = RequestWriter(TurnCredential.made(secret, time.time() + CREDENTIAL_SECONDS))
        self._transport: asyncio.DatagramTransport | None = None
        self._answers: dict[bytes, asyncio.Future[Message]] = {}

    async def open(self, port: int = 0) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self,
            local_addr=("::" if ":" in self._server[0] else "0.0.0.0", port) if port else None,  # noqa: S104 - a client's
            remote_addr=self._server,
        )
        return self

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def send(self, datagram: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(datagram)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:  # noqa: ARG002 - asyncio's
        if is_channel_data(data):
            self.deliver(decode_channel_data(data)[1])
            return
        message = decode(data)
        payload = message.find(AttributeType.DATA)
        if payload is not None:
            self.deliver(payload)
        elif (waiting := self._answers.get(message.transaction_id)) and not waiting.done():
            waiting.set_result(message)

    async def ask(self, method: int, *attributes: Attribute, peer: Address | None = None) -> Message:
        """Ask until there is an answer, and answer a challenge."""
        while True:
            transaction_id = os.urandom(TRANSACTION_ID_BYTES)
            all_attributes = (*attributes, peer_attribute(peer, transaction_id)) if peer else attributes
            request = self._writer.write(method, *all_attributes, transaction_id=transaction_id)
            answer = await self._exchange(request, transaction_id)
            if not self._writer.learns_from(answer):
                return answer

    async def allocate(self) -> Address:
        answer = await self.ask(Method.ALLOCATE, UDP)
        assert status_of(answer) == 200, status_of(answer)
        return relay_of(answer)

    async def permit(self, peer: Address) -> int:
        return status_of(await self.ask(Method.CREATE_PERMISSION, peer=peer))

    async def bind(self, peer: Address) -> int:
        return status_of(await self.ask(Method.CHANNEL_BIND, channel_attribute(CHANNEL), peer=peer))

    async def refresh(self, seconds: int = 600) -> int:
        return status_of(await self.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(seconds))))

    async def _exchange(self, request: bytes, transaction_id: bytes) -> Message:
        waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[transaction_id] = waiting
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while not waiting.done():
                    self.send(request)
                    await asyncio.wait([waiting], timeout=RETRY_SECONDS)
            return waiting.result()
        finally:
            del self._answers[transaction_id]


class Peer(asyncio.DatagramProtocol):
    """Somebody outside, with a plain socket on `host`."""

    def __init__(self, host: str) -> None:
        self.deliver: Deliver = lambda _: None
        self._host = host
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> Address:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self._host, 0), family=socket.AF_INET
        )
        host, port = self._transport.get_extra_info("sockname")
        return host, port

    def send(self, data: bytes, address: Address) -> None:
        assert self._transport is not None
        self._transport.sendto(data, address)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:  # noqa: ARG002 - asyncio's
        self.deliver(data)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


class MediaStreams:
    """The calls. `host` is where the plain sockets are, reachable for the node."""

    def __init__(self, server: Address, secret: str, host: str) -> None:
        self._server = server
        self._secret = secret
        self._legs = [Leg(server, secret) for _ in range(4)]
        self._peers = [Peer(host) for _ in range(2)]
        self._senders: list[tuple[Flow, Deliver]] = []
        self._figures = Figures()
        self._ports = itertools.count(random.randrange(*FIRST_NEWCOMER_PORTS))
        self._loop = asyncio.new_event_loop()
        self._is_over = asyncio.Event()
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(ANSWER_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def measure(self) -> Iterator[Figures]:
        """Measure what happens inside; the figures are filled in at its end."""
        flows = [flow for flow, _ in self._senders]
        began = [flow.sent for flow in flows]
        for flow in flows:
            flow.longest_gap_seconds = 0
        self._figures = figures = Figures()
        yield figures
        ended = [flow.sent for flow in flows]
        time.sleep(STRAGGLER_SECONDS)
        for flow, first, last in zip(flows, began, ended, strict=True):
            wanted = set(range(first + 1, last + 1))
            figures.sent += len(wanted)
            figures.lost += len(wanted - flow.received)
            figures.longest_gap_seconds = max(figures.longest_gap_seconds, flow.longest_gap_seconds)

    def refresh(self) -> list[int]:
        """Refresh every allocation; return the answers' status codes."""
        return asyncio.run_coroutine_threadsafe(self._refresh(), self._loop).result(ANSWER_SECONDS)

    async def _refresh(self) -> list[int]:
        return [await leg.refresh() for leg in self._legs]

    def _run(self) -> None:
        # What is measured is the node, not how long a client waits for a processor that others use.
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), CLIENT_NICENESS)
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._play())

    async def _play(self) -> None:
        try:
            await self._connect()
        except BaseException as error:  # the test's thread must hear of it
            self._ready.set_exception(error)
            raise
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send())
            newcomers = group.create_task(self._come_and_go())
            self._ready.set_result(None)
            await self._is_over.wait()
            newcomers.cancel()
        ends: list[Leg | Peer] = [*self._legs, *self._peers]
        for end in ends:
            end.close()

    async def _connect(self) -> None:
        a, b, c, d = self._legs
        first, second = self._peers
        relays = [await (await leg.open()).allocate() for leg in self._legs]
        outside, inside = await first.open(), await second.open()
        assert [await a.bind(relays[1]), await b.bind(relays[0])] == [200, 200]
        assert [await c.permit(outside), await d.bind(inside)] == [200, 200]
        self._join("A to B", lambda data: a.send(encode_channel_data(CHANNEL, data)), b)
        self._join("B to A", lambda data: b.send(encode_channel_data(CHANNEL, data)), a)
        self._join("C out", lambda data: c.send(send_indication(outside, data)), first)
        self._join("C in", lambda data: first.send(data, relays[2]), c)
        self._join("D out", lambda data: d.send(encode_channel_data(CHANNEL, data)), second)
        self._join("D in", lambda data: second.send(data, relays[3]), d)

    def _join(self, name: str, send: Deliver, receiver: Leg | Peer) -> None:
        flow = Flow(name)
        receiver.deliver = flow.arrive
        self._senders.append((flow, send))

    async def _send(self) -> None:
        due_at = time.monotonic()
        while not self._is_over.is_set():
            for flow, send in self._senders:
                send(flow.next_packet())
            self._figures.client_late_seconds = max(
                self._figures.client_late_seconds, time.monotonic() - due_at
            )
            due_at += PACKET_SECONDS
            await asyncio.sleep(max(0, due_at - time.monotonic()))

    async def _come_and_go(self) -> None:
        while True:
            figures, began_at = self._figures, time.monotonic()
            newcomer = await Leg(self._server, self._secret).open(next(self._ports))
            try:
                answers = [status_of(await newcomer.ask(Method.ALLOCATE, UDP)), await newcomer.refresh(0)]
            except TimeoutError:
                answers = [0]
            finally:
                newcomer.close()
            figures.newcomers += 1
            if answers != [200, 200]:
                figures.refused += 1
                figures.refused_with.append(answers)
            figures.slowest_newcomer_seconds = max(
                figures.slowest_newcomer_seconds, time.monotonic() - began_at
            )
            await asyncio.sleep(NEWCOMER_SECONDS)
