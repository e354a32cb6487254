"""Set up and end legs of calls, as many at once as a busy node has.

    Allocate ─ 401 ─ Allocate ─ ChannelBind ─ all of the wave are bound ─ Refresh 0

For: kernel.py, which asks what they cost the server.
Not for: data.

All of a wave stand bound together, so a kernel path has to insert every flow, and to take it out again.
Requests come side by side, as on a busy node, and to each server alike.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from support.kernel_network import CLIENT, NODE, PEER, PORT, SOON_SECONDS, KernelNetwork
from support.turn_client import (
    UDP,
    RequestWriter,
    TurnCredential,
    channel_attribute,
    peer_attribute,
    status_of,
)
from support.turn_program import SECRET
from turnnode.stun.attributes import AttributeType, encode_lifetime
from turnnode.stun.message import TRANSACTION_ID_BYTES, Message, Method, decode

WAVE: Final = 32
HELD_SECONDS: Final = 0.02
_FIRST_PORT: Final = 10_000
_FIRST_PEER_PORT: Final = 30_000
_CHANNEL: Final = 0x4000


@dataclass(slots=True)
class _Leg:
    sock: socket.socket
    writer: RequestWriter
    peer_port: int

    def allocate(self) -> bytes:
        """Write the first request, or after a challenge the signed one."""
        return self.writer.write(Method.ALLOCATE, UDP)

    def bind(self) -> bytes:
        """Bind a channel."""
        transaction_id = os.urandom(TRANSACTION_ID_BYTES)
        peer = peer_attribute((PEER, self.peer_port), transaction_id)
        return self.writer.write(
            Method.CHANNEL_BIND, channel_attribute(_CHANNEL), peer, transaction_id=transaction_id
        )

    def end(self) -> bytes:
        """End the allocation."""
        return self.writer.write(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Have this thread come before all on its processor: a client that waits would cost a server more."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(4))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def make_legs(network: KernelNetwork, count: int, first_port: int = _FIRST_PORT) -> int:
    """Set up and end legs in whole waves; return how many."""
    waves = max(1, count // WAVE)
    for wave in range(waves):
        sockets = network.inside("client", partial(_open_sockets, first_port + wave * WAVE))
        legs = [
            _Leg(sock, _new_writer(wave * WAVE + place), _FIRST_PEER_PORT + place)
            for place, sock in enumerate(sockets)
        ]
        for leg, challenge in zip(legs, _ask(legs, _Leg.allocate), strict=True):
            leg.writer.learns_from(challenge)
        for step in (_Leg.allocate, _Leg.bind):
            _must_succeed(_ask(legs, step))
        time.sleep(HELD_SECONDS)  # a server that puts work off does it now
        _must_succeed(_ask(legs, _Leg.end))
        for sock in sockets:
            sock.close()
    return waves * WAVE


def _open_sockets(first_port: int) -> list[socket.socket]:
    """Open a wave's sockets, on ports of their own: coturn remembers ended allocations for a while."""
    opened = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(WAVE)]
    for place, sock in enumerate(opened):
        sock.bind((CLIENT, first_port + place))
        sock.settimeout(SOON_SECONDS)
    return opened


def _new_writer(number: int) -> RequestWriter:
    return RequestWriter(TurnCredential.made(SECRET, time.time() + 3600 + number))


def _ask(legs: list[_Leg], write: Callable[[_Leg], bytes]) -> list[Message]:
    """Send a request for each leg, then read all answers."""
    requests = [write(leg) for leg in legs]
    with undisturbed():
        for leg, request in zip(legs, requests, strict=True):
            leg.sock.sendto(request, (NODE, PORT))
        answers = [leg.sock.recv(2048) for leg in legs]
    return [decode(answer) for answer in answers]


def _must_succeed(answers: list[Message]) -> None:
    refused = [status_of(answer) for answer in answers if status_of(answer) != 200]
    if refused:
        raise SystemExit(f"the server refuses a leg with {refused[0]}; figures would mean nothing")
