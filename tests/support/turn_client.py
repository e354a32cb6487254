"""A TURN client for tests: writes requests as a client does, over any way to exchange datagrams.

`TurnCredential` is what a mail node hands out, `RequestWriter` signs, `TurnClient` talks over a real socket.
"""

import asyncio
import os
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from turnnode.relay.credentials import password_of
from turnnode.relay.password_algorithms import long_term_key
from turnnode.stun.attributes import (
    FAMILY_IPV6,
    Address,
    AttributeType,
    decode_error_code,
    decode_lifetime,
    decode_xor_address,
    encode_channel_number,
    encode_first_octet,
    encode_xor_address,
)
from turnnode.stun.channel_data import decode_channel_data, encode_channel_data, is_channel_data
from turnnode.stun.message import (
    TRANSACTION_ID_BYTES,
    Attributes,
    IntegrityKind,
    Message,
    MessageClass,
    Method,
    decode,
    encode,
)

SOON_SECONDS = 5
UDP = (AttributeType.REQUESTED_TRANSPORT, encode_first_octet(17))
IPV6 = (AttributeType.REQUESTED_ADDRESS_FAMILY, encode_first_octet(FAMILY_IPV6))
Attribute = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class TurnCredential:
    """Username and password."""

    username: str
    password: str

    @classmethod
    def made(cls, secret: str, expires_at: float) -> Self:
        username = str(int(expires_at))
        return cls(username, password_of(secret, username))


class RequestWriter:
    """Signs requests; learns realm and nonce from the answers that it is shown."""

    def __init__(self, credential: TurnCredential, kind: IntegrityKind = IntegrityKind.SHA1) -> None:
        self.credential = credential
        self.kind = kind
        self.realm: bytes | None = None
        self.nonce: bytes | None = None

    @property
    def key(self) -> bytes | None:
        if self.realm is None:
            return None
        return long_term_key(self.credential.username, self.realm.decode(), self.credential.password)

    def write(self, method: int, *attributes: Attribute, transaction_id: bytes | None = None) -> bytes:
        """Write a request, signed once a challenge was seen."""
        proof: Attributes = ()
        if self.realm is not None and self.nonce is not None:
            proof = (
                (AttributeType.USERNAME, self.credential.username.encode()),
                (AttributeType.REALM, self.realm),
                (AttributeType.NONCE, self.nonce),
            )
        message = Message(
            method,
            MessageClass.REQUEST,
            transaction_id or os.urandom(TRANSACTION_ID_BYTES),
            (*attributes, *proof),
        )
        return encode(message, self.key, kind=self.kind)

    def learns_from(self, answer: Message) -> bool:
        """Take realm and nonce from a 401 or 438; tell whether to ask again."""
        realm, nonce = answer.find(AttributeType.REALM), answer.find(AttributeType.NONCE)
        if status_of(answer) not in {401, 438} or realm is None or nonce is None:
            return False
        is_first = self.realm is None or status_of(answer) == 438
        self.realm, self.nonce = realm, nonce
        return is_first


def status_of(answer: Message | None) -> int:
    """Return 200 for success, the error code of an error, 0 for no answer."""
    if answer is None:
        return 0
    if answer.message_class is MessageClass.SUCCESS:
        return 200
    code = answer.find(AttributeType.ERROR_CODE)
    assert code is not None
    return decode_error_code(code)


def relay_of(answer: Message) -> Address:
    value = answer.find(AttributeType.XOR_RELAYED_ADDRESS)
    assert value is not None
    return decode_xor_address(value, answer.transaction_id)


def peer_attribute(peer: Address, transaction_id: bytes) -> Attribute:
    return AttributeType.XOR_PEER_ADDRESS, encode_xor_address(peer, transaction_id)


def channel_attribute(number: int) -> Attribute:
    return AttributeType.CHANNEL_NUMBER, encode_channel_number(number)


def send_indication(peer: Address, data: bytes) -> bytes:
    transaction_id = os.urandom(TRANSACTION_ID_BYTES)
    attributes = (peer_attribute(peer, transaction_id), (AttributeType.DATA, data))
    return encode(Message(Method.SEND, MessageClass.INDICATION, transaction_id, attributes))


class TurnClient(asyncio.DatagramProtocol):
    """One client over a real UDP socket; enter it as an async context."""

    def __init__(self, server: Address, secret: str, *, expires_at: float | None = None) -> None:
        expiry = time.time() + 3600 if expires_at is None else expires_at
        self.writer = RequestWriter(TurnCredential.made(secret, expiry))
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None
        self._datagrams: asyncio.Queue[bytes] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=self._server)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:  # noqa: ARG002 - asyncio's
        self._datagrams.put_nowait(data)

    def send(self, datagram: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(datagram)

    async def receive(self) -> bytes:
        async with asyncio.timeout(SOON_SECONDS):
            return await self._datagrams.get()

    async def ask(self, method: int, *attributes: Attribute, transaction_id: bytes | None = None) -> Message:
        """Send a request and return its answer, after answering a challenge."""
        while True:
            self.send(self.writer.write(method, *attributes, transaction_id=transaction_id))
            answer = decode(await self.receive())
            if not self.writer.learns_from(answer):
                return answer

    async def allocate(self, *attributes: Attribute) -> Address:
        answer = await self.ask(Method.ALLOCATE, UDP, *attributes)
        assert status_of(answer) == 200, status_of(answer)
        return relay_of(answer)

    async def permit(self, *peers: Address) -> int:
        transaction_id = os.urandom(TRANSACTION_ID_BYTES)
        peer_attributes = [peer_attribute(peer, transaction_id) for peer in peers]
        answer = await self.ask(Method.CREATE_PERMISSION, *peer_attributes, transaction_id=transaction_id)
        return status_of(answer)

    async def bind(self, number: int, peer: Address) -> int:
        transaction_id = os.urandom(TRANSACTION_ID_BYTES)
        attributes = channel_attribute(number), peer_attribute(peer, transaction_id)
        return status_of(await self.ask(Method.CHANNEL_BIND, *attributes, transaction_id=transaction_id))

    def send_channel(self, number: int, data: bytes) -> None:
        self.send(encode_channel_data(number, data))

    async def receive_data(self) -> tuple[int | Address, bytes]:
        """Return the channel's number, or for a Data indication the peer, and the data."""
        datagram = await self.receive()
        if is_channel_data(datagram):
            return decode_channel_data(datagram)
        message = decode(datagram)
        peer, data = message.find(AttributeType.XOR_PEER_ADDRESS), message.find(AttributeType.DATA)
        assert (message.method, message.message_class) == (Method.DATA, MessageClass.INDICATION)
        assert peer is not None
        assert data is not None
        return decode_xor_address(peer, message.transaction_id), data


def lifetime_of(answer: Message | None) -> int:
    """Read the lifetime that was granted."""
    assert answer is not None
    value = answer.find(AttributeType.LIFETIME)
    assert value is not None
    return decode_lifetime(value)
