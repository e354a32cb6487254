"""The same requests to our server and to Debian's coturn: the same answers, but for what is meant.

SOFTWARE, NONCE, REALM and the list of password algorithms do not take part.
"""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from ipaddress import ip_network
from pathlib import Path

import pytest

from support.coturn import running_coturn
from support.turn_client import (
    IPV6,
    UDP,
    TurnClient,
    channel_attribute,
    peer_attribute,
    send_indication,
    status_of,
)
from support.turn_server import LOOPBACK, SECRET, LoopbackServer, bound, running
from turnnode.relay.policy import RelayPolicy
from turnnode.stun.attributes import (
    FAMILY_IPV6,
    Address,
    AttributeType,
    encode_first_octet,
    encode_lifetime,
)
from turnnode.stun.message import TRANSACTION_ID_BYTES, Message, MessageClass, Method, decode, encode

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="coturn is not installed"),
]

PEER = ("127.0.0.1", 50_000)
PEER_IPV6 = ("::1", 50_000)
IGNORED = {
    AttributeType.SOFTWARE,
    AttributeType.NONCE,
    AttributeType.REALM,
    AttributeType.PASSWORD_ALGORITHMS,
}
EVEN = (AttributeType.EVEN_PORT, b"\x00")
EVEN_AND_NEXT = (AttributeType.EVEN_PORT, b"\x80")
TOKEN = (AttributeType.RESERVATION_TOKEN, bytes(8))
BOTH = (AttributeType.ADDITIONAL_ADDRESS_FAMILY, encode_first_octet(FAMILY_IPV6))
ENDED = (AttributeType.LIFETIME, encode_lifetime(0))

Answer = tuple[int, tuple[int, ...]]
"""Status, and the types of attributes that matter, in order of their numbers."""


def normalised(answer: Message) -> Answer:
    kinds = {kind for kind, _ in answer.attributes} - IGNORED
    return status_of(answer), tuple(sorted(kinds))


class Dialogue:
    """What one server answers, question by question."""

    def __init__(self, client: TurnClient) -> None:
        self.client = client
        self.answers: list[Answer] = []

    async def ask(self, method: int, *attributes: tuple[int, bytes]) -> Message:
        answer = await self.client.ask(method, *attributes)
        self.answers.append(normalised(answer))
        return answer

    async def about(self, method: int, *peers: Address, number: int | None = None) -> None:
        """Ask about peers, whose addresses are mixed with the transaction."""
        transaction_id = os.urandom(TRANSACTION_ID_BYTES)
        attributes = [peer_attribute(peer, transaction_id) for peer in peers]
        if number is not None:
            attributes.insert(0, channel_attribute(number))
        answer = await self.client.ask(method, *attributes, transaction_id=transaction_id)
        self.answers.append(normalised(answer))


async def allocate_in_vain(talk: Dialogue) -> None:
    for attributes in (
        (),
        ((AttributeType.REQUESTED_TRANSPORT, encode_first_octet(99)),),
        (UDP, (AttributeType.REQUESTED_ADDRESS_FAMILY, encode_first_octet(3))),
        (UDP, (0x7FFF, b"")),
        (UDP, TOKEN, EVEN),
    ):
        await talk.ask(Method.ALLOCATE, *attributes)
    await talk.ask(Method.REFRESH)
    await talk.about(Method.CREATE_PERMISSION, PEER)
    await talk.about(Method.CHANNEL_BIND, PEER, number=0x4000)


async def allocate_twice(talk: Dialogue) -> None:
    await talk.ask(Method.ALLOCATE, UDP)
    await talk.ask(Method.ALLOCATE, UDP)
    await talk.ask(Method.REFRESH, ENDED)
    await talk.ask(Method.REFRESH, ENDED)
    await talk.ask(Method.ALLOCATE, UDP, (AttributeType.LIFETIME, encode_lifetime(90_000)))


async def permit(talk: Dialogue) -> None:
    await talk.ask(Method.ALLOCATE, UDP)
    await talk.about(Method.CREATE_PERMISSION)
    await talk.about(Method.CREATE_PERMISSION, PEER)
    await talk.about(Method.CREATE_PERMISSION, PEER, ("127.0.0.2", 1))
    await talk.about(Method.CREATE_PERMISSION, PEER_IPV6)


async def bind(talk: Dialogue) -> None:
    await talk.ask(Method.ALLOCATE, UDP)
    for number, peer in (
        (0x3FFF, PEER),
        (0x4000, PEER),
        (0x4000, PEER),
        (0x4000, ("127.0.0.1", 50_001)),
        (0x4001, PEER),
        (0x8000, PEER),
        (0x4002, PEER_IPV6),
    ):
        await talk.about(Method.CHANNEL_BIND, peer, number=number)
    await talk.about(Method.CHANNEL_BIND, number=0x4003)
    await talk.ask(Method.CHANNEL_BIND)


async def reserve(talk: Dialogue) -> None:
    await talk.ask(Method.ALLOCATE, UDP, EVEN_AND_NEXT)


async def allocate_ipv6(talk: Dialogue) -> None:
    await talk.ask(Method.ALLOCATE, UDP, IPV6)
    await talk.about(Method.CREATE_PERMISSION, PEER)
    await talk.ask(Method.REFRESH, (AttributeType.REQUESTED_ADDRESS_FAMILY, encode_first_octet(1)))
    await talk.ask(Method.REFRESH, IPV6, ENDED)


async def allocate_both(talk: Dialogue) -> None:
    await talk.ask(Method.ALLOCATE, UDP, BOTH)
    await talk.about(Method.CHANNEL_BIND, ("127.0.0.1", 50_000), number=0x4000)


async def use_a_nonce_that_is_none(talk: Dialogue) -> None:
    await talk.ask(Method.ALLOCATE, UDP)
    writer = talk.client.writer
    writer.nonce = b"0" * 16
    talk.client.send(writer.write(Method.REFRESH))
    talk.answers.append(normalised(decode(await talk.client.receive())))


async def bind_by_stun(talk: Dialogue) -> None:
    talk.client.send(encode(Message(Method.BINDING, MessageClass.REQUEST, bytes(12))))
    answer = decode(await talk.client.receive())
    assert answer.find(AttributeType.XOR_MAPPED_ADDRESS) is not None
    talk.answers.append((status_of(answer), (AttributeType.XOR_MAPPED_ADDRESS,)))


async def relay_data(talk: Dialogue) -> None:
    with bound(socket.AF_INET, "127.0.0.1") as peer:
        peer.settimeout(5)
        await talk.ask(Method.ALLOCATE, UDP)
        await talk.about(Method.CREATE_PERMISSION, peer.getsockname())
        talk.client.send(send_indication(peer.getsockname(), b"by indication"))
        data, relay = await asyncio.to_thread(peer.recvfrom, 100)
        peer.sendto(data, relay)
        assert await talk.client.receive_data() == (peer.getsockname(), b"by indication")
        await talk.about(Method.CHANNEL_BIND, peer.getsockname(), number=0x4000)
        talk.client.send_channel(0x4000, b"by channel")
        data, relay = await asyncio.to_thread(peer.recvfrom, 100)
        peer.sendto(data, relay)
        assert await talk.client.receive_data() == (0x4000, b"by channel")


MEANT = {
    # RFC 8656 section 7.2: a transport that is not supported gets 442, and a token beside EVEN-PORT 400.
    ("allocate_in_vain", 1): ((442, (9,)), (400, (9,))),
    ("allocate_in_vain", 4): ((400, (9,)), (200, (13, 22, 32))),
    # So there is an allocation now, of coturn's client only.
    ("allocate_in_vain", 5): ((437, (9,)), (200, (13,))),
    ("allocate_in_vain", 6): ((437, (9,)), (200, ())),
    ("allocate_in_vain", 7): ((437, (9,)), (200, ())),
    # A lifetime of zero ends an allocation at once; coturn 4.6.1 takes its time.
    ("allocate_twice", 3): ((437, (9,)), (200, (13,))),
    ("allocate_twice", 4): ((200, (13, 22, 32)), (437, (9,))),
}
"""Our answer and coturn's, by scene and place in it."""

SCENES: tuple[Callable[[Dialogue], Awaitable[None]], ...] = (
    allocate_in_vain,
    allocate_twice,
    permit,
    bind,
    reserve,
    allocate_ipv6,
    allocate_both,
    use_a_nonce_that_is_none,
    bind_by_stun,
    relay_data,
)


async def play(server: Address, expires_at: float) -> dict[str, list[Answer]]:
    """Play every scene, each with a client and a credential of its own."""
    answers = {}
    for number, scene in enumerate(SCENES):
        async with TurnClient(server, SECRET, expires_at=expires_at + number) as client:
            talk = Dialogue(client)
            await scene(talk)
            answers[scene.__name__] = talk.answers
    return answers


async def test_answers_are_those_of_coturn(tmp_path: Path) -> None:
    expires_at = time.time() + 3600
    async with AsyncExitStack() as stack:
        coturn = await stack.enter_async_context(running_coturn(tmp_path, SECRET))
        theirs = await play(coturn, expires_at)
        allowed = (LOOPBACK, ip_network("::1/128"))
        policy = RelayPolicy(realm="example.org", secrets=(SECRET,), peer_allow=allowed)
        node = await stack.enter_async_context(running(LoopbackServer(policy=policy)))
        ours = await play(node.address, expires_at)

    assert {scene: len(answers) for scene, answers in ours.items()} == {
        scene: len(answers) for scene, answers in theirs.items()
    }
    differences = {
        (scene, place): (mine, other)
        for scene in ours
        for place, (mine, other) in enumerate(zip(ours[scene], theirs[scene], strict=True))
        if mine != other
    }
    assert differences == MEANT
