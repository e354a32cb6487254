"""Connections in TLS on our own transport, with clients on real sockets who behave well, badly or not."""

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from mailnode.tls_listener import SHORTAGE_SECONDS, TlsListener
from mailnode.tls_stream import HIGH_WATER_BYTES, RECORD_BYTES, RECORDS_PER_TURN, TlsStream
from support.clocks import SOON_SECONDS, until
from support.imap_server import HOST, write_certificate

pytestmark = pytest.mark.anyio

LARGE = bytes(range(256)) * 20_000  # more than any buffer between the two holds
HANDSHAKE_SECONDS = 0.6
FAREWELL_SECONDS = 0.4


class Recorder(asyncio.Protocol):
    """Sends back what it gets, unless told otherwise, and notes all that it is told."""

    def __init__(self, answer: Callable[["Recorder", bytes], None] | None = None) -> None:
        self.received = bytearray()
        self.pieces: list[int] = []
        self.events: list[str] = []
        self.answer = answer or (lambda self, data: self.transport.write(data))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, TlsStream)
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.pieces.append(len(data))
        self.answer(self, data)

    def eof_received(self) -> None:
        self.events.append("eof")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost" if exc is None else type(exc).__name__)


class Site:
    """A listener, and the protocols of those who came."""

    def __init__(self, certificate: Path) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        self.client_tls = ssl.create_default_context(cafile=str(certificate))
        self.answer: Callable[[Recorder, bytes], None] | None = None
        self.protocols: list[Recorder] = []
        listener = socket.create_server((HOST, 0))
        self.port = listener.getsockname()[1]
        self.listening = TlsListener(
            listener,
            self.build,
            tls,
            handshake_seconds=HANDSHAKE_SECONDS,
            farewell_seconds=FAREWELL_SECONDS,
        )

    def build(self) -> Recorder:
        self.protocols.append(Recorder(self.answer))
        return self.protocols[-1]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(HOST, self.port, ssl=self.client_tls, limit=len(LARGE) * 2)

    async def connect_socket(self) -> ssl.SSLSocket:
        """Connect a client that does nothing by itself, not even read."""

        def connect() -> ssl.SSLSocket:
            plain = socket.create_connection((HOST, self.port), timeout=SOON_SECONDS)
            return self.client_tls.wrap_socket(plain, server_hostname=HOST)

        return await asyncio.to_thread(connect)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls") / "both.pem")


@pytest.fixture
async def site(certificate: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        site = Site(certificate)
        stack.callback(site.listening.close)
        yield site


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_all_bytes_come_and_go_in_their_order(site: Site, version: ssl.TLSVersion) -> None:
    site.client_tls.maximum_version = version
    reader, writer = await site.connect()
    async with asyncio.timeout(SOON_SECONDS):
        for text in (b"a", b"b" * RECORD_BYTES, LARGE):
            writer.write(text)
            assert await reader.readexactly(len(text)) == text
        writer.close()
        await writer.wait_closed()

    (protocol,) = site.protocols
    await until(lambda: "lost" in protocol.events)
    assert protocol.received == b"a" + b"b" * RECORD_BYTES + LARGE
    assert max(protocol.pieces) <= RECORD_BYTES * RECORDS_PER_TURN
    assert [event for event in protocol.events if event not in {"pause", "resume"}] == ["made", "eof", "lost"]
    assert protocol.events.count("pause") == protocol.events.count("resume")


async def test_others_have_their_turn_beside_one_who_takes_much(site: Site) -> None:
    site.answer = lambda protocol, data: protocol.transport.write(LARGE if data == b"much" else data)
    reader, writer = await site.connect()
    other_reader, other_writer = await site.connect()
    writer.write(b"much")
    other_writer.write(b"little")
    async with asyncio.timeout(SOON_SECONDS):
        assert await other_reader.readexactly(6) == b"little"
        assert await reader.readexactly(len(LARGE)) == LARGE
    writer.close()
    other_writer.close()


async def test_what_is_written_for_one_reading_leaves_as_one_record(site: Site) -> None:
    def answer(protocol: Recorder, _: bytes) -> None:
        for text in (b"* 1 EXISTS\r\n", bytearray(b"* 1 RECENT\r\n"), memoryview(b"a OK\r\n"), b""):
            protocol.transport.write(text)
        assert protocol.transport.get_write_buffer_size() == 30

    site.answer = answer
    client = await site.connect_socket()
    await asyncio.to_thread(client.sendall, b"noop")

    assert await asyncio.to_thread(client.recv, 1000) == b"* 1 EXISTS\r\n* 1 RECENT\r\na OK\r\n"
    assert site.protocols[0].transport.get_write_buffer_size() == 0
    await asyncio.to_thread(client.close)


@pytest.mark.parametrize("offset", [-1, 0, 1])
async def test_protocol_is_asked_to_pause_above_the_limit_and_goes_on_below_a_quarter(
    site: Site, offset: int
) -> None:
    client = await site.connect_socket()
    await until(lambda: bool(site.protocols))
    (protocol,) = site.protocols
    stream = protocol.transport
    while not stream.get_write_buffer_size():  # the kernels' buffers are full after some of these
        stream.write(bytes(HIGH_WATER_BYTES // 2))
    assert stream.get_write_buffer_limits() == (HIGH_WATER_BYTES // 4, HIGH_WATER_BYTES)

    stream.write(bytes(HIGH_WATER_BYTES + offset - stream.get_write_buffer_size()))
    assert stream.get_write_buffer_size() == HIGH_WATER_BYTES + offset
    assert ("pause" in protocol.events) is (offset > 0)
    if offset > 0:

        def read_all() -> None:
            while protocol.events[-1] != "resume":
                client.recv(RECORD_BYTES)

        await asyncio.to_thread(read_all)
        assert stream.get_write_buffer_size() <= HIGH_WATER_BYTES // 4
    stream.abort()
    await asyncio.to_thread(client.close)


async def test_nothing_is_read_while_reading_is_paused(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(b"one")
    async with asyncio.timeout(SOON_SECONDS):
        await reader.readexactly(3)
    (protocol,) = site.protocols
    protocol.transport.pause_reading()
    protocol.transport.pause_reading()
    assert not protocol.transport.is_reading()
    writer.write(LARGE)
    await asyncio.sleep(0.1)
    assert protocol.received == b"one"

    protocol.transport.resume_reading()
    async with asyncio.timeout(SOON_SECONDS):
        assert await reader.readexactly(len(LARGE)) == LARGE
    writer.close()


async def test_close_sends_all_and_ends_tls_and_what_comes_afterwards_goes_nowhere(site: Site) -> None:
    def answer(protocol: Recorder, _: bytes) -> None:
        protocol.transport.write(LARGE)
        protocol.transport.close()
        protocol.transport.write(b"too late")
        assert protocol.transport.is_closing()

    site.answer = answer
    reader, writer = await site.connect()
    writer.write(b"bye" + b"x" * RECORD_BYTES)
    async with asyncio.timeout(SOON_SECONDS):
        assert await reader.read() == LARGE  # up to the end of TLS: without it, this were an error
    (protocol,) = site.protocols
    await until(lambda: protocol.events[-1] == "lost")
    assert len(protocol.received) <= 3 + RECORD_BYTES
    writer.close()


@pytest.mark.parametrize("unsent", [b"", LARGE], ids=["silent", "with much unsent"])
async def test_client_that_does_not_end_tls_is_cut_off(site: Site, unsent: bytes) -> None:
    client = await site.connect_socket()
    await until(lambda: bool(site.protocols))
    (protocol,) = site.protocols
    protocol.transport.write(unsent)
    began_at = asyncio.get_running_loop().time()
    protocol.transport.close()

    await until(lambda: protocol.events[-1] == "lost")
    assert asyncio.get_running_loop().time() - began_at >= FAREWELL_SECONDS * 0.9
    await asyncio.to_thread(client.close)


async def test_client_that_takes_slowly_is_not_cut_off(site: Site) -> None:
    client = await site.connect_socket()
    await until(lambda: bool(site.protocols))
    site.protocols[0].transport.write(LARGE)
    site.protocols[0].transport.close()
    left = len(LARGE)
    while left > 0:  # in more than two times the farewell
        left -= len(await asyncio.to_thread(client.recv, RECORD_BYTES))
        if left % (RECORD_BYTES * 32) < RECORD_BYTES:
            await asyncio.sleep(FAREWELL_SECONDS / 4)
    await asyncio.to_thread(client.close)
    await until(lambda: site.protocols[0].events[-1] == "lost")


async def test_broken_connection_is_told_with_its_error(site: Site) -> None:
    client = await site.connect_socket()
    await until(lambda: bool(site.protocols))
    (protocol,) = site.protocols
    protocol.transport.pause_reading()  # else the end is seen first
    protocol.transport.write(LARGE)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
    await asyncio.to_thread(client.close)

    await until(lambda: protocol.events[-1].endswith("Error"))
    protocol.transport.write(b"too late")
    protocol.transport.close()
    assert protocol.transport.get_write_buffer_size() == 0


async def test_end_without_an_end_of_tls_is_an_end(site: Site) -> None:
    client = await site.connect_socket()
    await asyncio.to_thread(client.sendall, b"x" * RECORD_BYTES)
    await asyncio.to_thread(client.shutdown, socket.SHUT_WR)

    await until(lambda: bool(site.protocols) and site.protocols[0].events[-1] == "lost")
    assert site.protocols[0].events == ["made", "eof", "lost"]
    assert len(site.protocols[0].received) == RECORD_BYTES
    await asyncio.to_thread(client.close)


async def test_fault_of_a_protocol_ends_its_connection_alone(site: Site) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))

    def answer(protocol: Recorder, data: bytes) -> None:
        if data == b"bad":
            raise ZeroDivisionError
        protocol.transport.write(data)

    site.answer = answer
    (reader, writer), (good_reader, good_writer) = await site.connect(), await site.connect()
    writer.write(b"bad")
    good_writer.write(b"good")
    async with asyncio.timeout(SOON_SECONDS):
        assert await good_reader.readexactly(4) == b"good"
        with suppress(ConnectionResetError):  # an end is as good
            assert not await reader.read()
    assert [type(fault) for fault in faults] == [ZeroDivisionError]
    for each in (writer, good_writer):
        each.close()


@pytest.mark.parametrize(
    "said", [b"", b"EHLO x\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"\x16\x03\x01" + b"\xff" * 70_000]
)
async def test_who_shakes_no_hand_is_let_go_in_time_and_no_protocol_begins(site: Site, said: bytes) -> None:
    began_at = asyncio.get_running_loop().time()
    reader, writer = await asyncio.open_connection(HOST, site.port)
    writer.write(said)
    async with asyncio.timeout(SOON_SECONDS):
        with suppress(ConnectionResetError):
            while await reader.read(1000):
                pass
    seconds = asyncio.get_running_loop().time() - began_at
    assert seconds < HANDSHAKE_SECONDS * 3
    if said in {b"", b"\x16\x03\x01\x02\x00\x01\x00\x01"}:  # these might still have become something
        assert seconds >= HANDSHAKE_SECONDS * 0.9
    assert site.protocols == []
    writer.close()


async def test_who_is_quick_enough_is_served_though_others_were_late(site: Site) -> None:
    late = [await asyncio.open_connection(HOST, site.port) for _ in range(3)]
    await asyncio.sleep(HANDSHAKE_SECONDS * 0.7)
    client = await site.connect_socket()
    await asyncio.sleep(HANDSHAKE_SECONDS)
    for reader, writer in late:
        assert not await reader.read()
        writer.close()
    await asyncio.to_thread(client.sendall, b"here")
    assert await asyncio.to_thread(client.recv, 100) == b"here"
    await asyncio.to_thread(client.close)


async def test_after_close_nobody_is_taken_and_who_is_connected_stays(site: Site) -> None:
    reader, writer = await site.connect()
    half_reader, half_writer = await asyncio.open_connection(HOST, site.port)
    await asyncio.sleep(0.05)
    site.listening.close()
    site.listening.close()

    assert not await half_reader.read()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, site.port)
    writer.write(b"still here")
    async with asyncio.timeout(SOON_SECONDS):
        assert await reader.readexactly(10) == b"still here"
    writer.close()
    half_writer.close()


async def test_when_files_run_out_who_comes_waits_until_there_are_some(site: Site) -> None:
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    client = socket.socket()
    client.setblocking(False)  # noqa: FBT003 - its own signature
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
        await asyncio.get_running_loop().sock_connect(client, (HOST, site.port))
        await asyncio.sleep(0.1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    assert site.protocols == []

    reader, writer = await asyncio.wait_for(
        asyncio.open_connection(sock=client, ssl=site.client_tls, server_hostname=HOST),
        SHORTAGE_SECONDS + SOON_SECONDS,
    )
    writer.write(b"at last")
    async with asyncio.timeout(SOON_SECONDS):
        assert await reader.readexactly(7) == b"at last"
    writer.close()


async def test_stream_tells_who_is_there(site: Site) -> None:
    _, writer = await site.connect()
    await until(lambda: bool(site.protocols))
    stream = site.protocols[0].transport
    assert stream.get_extra_info("peername") == writer.get_extra_info("sockname")
    assert stream.get_extra_info("sockname") == (HOST, site.port)
    assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert stream.get_extra_info("sslcontext") is not None
    assert stream.get_extra_info("compression", "none") == "none"
    assert stream.get_protocol() is site.protocols[0]
    assert not stream.can_write_eof()
    stream.abort()
    await until(lambda: site.protocols[0].events[-1] == "lost")
    with pytest.raises(RuntimeError):
        stream.get_protocol()
    writer.close()
