"""How many connections a listener in TLS takes from one network: whoever has not shaken hands counts, too."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mailnode.tls_listener import TlsListener
from support.clocks import PAUSE_SECONDS, SOON_SECONDS
from support.imap_server import HOST, write_certificate

pytestmark = pytest.mark.anyio

OTHER_HOST = "127.0.0.2"
LIMIT = 3
HANDSHAKE_SECONDS = 1.0
LONG_SECONDS = 60.0

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


class Site:
    """A listener that takes LIMIT connections of a network, and its clients."""

    def __init__(self, certificate: Path, stack: AsyncExitStack, handshake_seconds: float) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        self._client_tls = ssl.create_default_context(cafile=str(certificate))
        self._stack = stack
        listener = socket.create_server((HOST, 0))
        self._port = listener.getsockname()[1]
        self.listening = TlsListener(
            listener, Echo, tls, connections_per_prefix=LIMIT, handshake_seconds=handshake_seconds
        )
        stack.callback(self.listening.close)

    async def connect(self, *, with_tls: bool, local: str = HOST) -> Client:
        """Connect; without TLS, a handshake never begins."""
        tls = self._client_tls if with_tls else None
        client = await asyncio.open_connection(HOST, self._port, ssl=tls, local_addr=(local, 0))
        self._stack.callback(client[1].close)
        return client

    async def is_served(self, local: str = HOST) -> bool:
        """Tell whether one more is served; it stays."""
        try:
            async with asyncio.timeout(SOON_SECONDS):
                reader, writer = await self.connect(with_tls=True, local=local)
                writer.write(b"here")
                return await reader.readexactly(4) == b"here"
        except OSError:
            return False


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls") / "both.pem")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.mark.parametrize("count", [LIMIT - 1, LIMIT, LIMIT + 1], ids=["below", "at", "above"])
@pytest.mark.parametrize("served", [0, 1, LIMIT - 1])
async def test_who_has_not_shaken_hands_counts_as_one_who_has(
    certificate: Path, stack: AsyncExitStack, served: int, count: int
) -> None:
    site = Site(certificate, stack, LONG_SECONDS)
    for number in range(count - 1):
        if number < served:
            assert await site.is_served()
        else:
            await site.connect(with_tls=False)

    assert await site.is_served() is (count <= LIMIT)
    assert await site.is_served(OTHER_HOST)


async def test_too_many_that_shake_no_hands_are_closed_at_once(
    certificate: Path, stack: AsyncExitStack
) -> None:
    site = Site(certificate, stack, LONG_SECONDS)
    clients = [await site.connect(with_tls=False) for _ in range(LIMIT + 2)]
    async with asyncio.timeout(SOON_SECONDS):
        for reader, _ in clients[LIMIT:]:
            assert not await reader.read()
    assert not any(reader.at_eof() for reader, _ in clients[:LIMIT])


@pytest.mark.parametrize("how", ["leaves", "says nonsense", "is late", "leaves after its handshake"])
async def test_place_of_one_who_has_gone_is_free(certificate: Path, stack: AsyncExitStack, how: str) -> None:
    site = Site(certificate, stack, HANDSHAKE_SECONDS if how == "is late" else LONG_SECONDS)
    for _ in range(LIMIT - 1):
        assert await site.is_served()
    _, writer = await site.connect(with_tls=how == "leaves after its handshake")
    assert not await site.is_served()
    if how == "says nonsense":
        writer.write(b"EHLO client.example\r\n")
    elif how != "is late":
        writer.close()

    async with asyncio.timeout(SOON_SECONDS):
        while not await site.is_served():  # noqa: ASYNC110 - only the next attempt tells
            await asyncio.sleep(PAUSE_SECONDS)
