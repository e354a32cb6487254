"""HTTP connections are bounded in time, size and number, and end politely."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from fastapi import FastAPI

from mailnode.http.app import create_app
from mailnode.http.protocol import MAX_HEAD_BYTES, Bounds, HttpServer
from support.pages_site import SITE, CountingRegistrar
from support.pages_tls import LOOPBACK, LoopbackTls

pytestmark = pytest.mark.anyio

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"
SHORT_SECONDS = 0.5
LONG_SECONDS = 30


@pytest.fixture
def tls(tmp_path: Path) -> LoopbackTls:
    return LoopbackTls(tmp_path)


class Site:
    """An application being served, and a way to connect to it."""

    def __init__(self, tls: LoopbackTls, port: int) -> None:
        self._tls = tls
        self._port = port

    async def connect(self) -> Connection:
        return await asyncio.open_connection(LOOPBACK, self._port, ssl=self._tls.client())


@asynccontextmanager
async def serve(tls: LoopbackTls, app: FastAPI | None = None, **bounds: float) -> AsyncIterator[Site]:
    everything = {"request_seconds": LONG_SECONDS, "keep_alive_seconds": LONG_SECONDS} | bounds
    chosen = Bounds(**everything)  # type: ignore[arg-type] # a count is a whole number here
    server = HttpServer(
        app or create_app(accounts=CountingRegistrar(), read_site=lambda: SITE), bounds=chosen
    )
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(tls.listen(server.build_protocol))
        await server.start(stack)
        yield Site(tls, port)


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = [
        line.split(b":")[1] for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
    ]
    return head + await reader.readexactly(int(length))


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """Read until the other side has closed or broken off."""
    received = b""
    try:
        while chunk := await reader.read(65_536):
            received += chunk
    except ConnectionError:
        pass
    return received


def slow_app() -> tuple[FastAPI, asyncio.Event, asyncio.Event]:
    """Build an application whose answer waits; returns it, "has begun" and "may go on"."""
    app, begun, may_go_on = FastAPI(), asyncio.Event(), asyncio.Event()

    @app.get("/")
    async def answer() -> str:
        begun.set()
        await may_go_on.wait()
        return "done"

    return app, begun, may_go_on


@pytest.mark.parametrize(
    "sent", [b"G", HEALTH[:-2], b"POST /new HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12"]
)
async def test_request_that_never_ends_is_broken_off(tls: LoopbackTls, sent: bytes) -> None:
    async with serve(tls, request_seconds=SHORT_SECONDS) as site:
        reader, writer = await site.connect()
        writer.write(sent)

        async with asyncio.timeout(5):
            await read_to_end(reader)
        writer.close()


async def test_request_that_trickles_in_is_broken_off_at_its_deadline(tls: LoopbackTls) -> None:
    async with serve(tls, request_seconds=SHORT_SECONDS) as site:
        reader, writer = await site.connect()
        loop = asyncio.get_running_loop()
        started = loop.time()
        while not reader.at_eof() and reader.exception() is None and loop.time() < started + 5:
            writer.write(b"G" if loop.time() == started else b"E")
            await asyncio.sleep(SHORT_SECONDS / 10)  # the client's slowness is what is tested

        assert SHORT_SECONDS * 0.9 < loop.time() - started < 5
        writer.close()


async def test_deadline_of_a_request_begins_with_the_request(tls: LoopbackTls) -> None:
    async with serve(tls, request_seconds=SHORT_SECONDS) as site:
        reader, writer = await site.connect()
        for _ in range(4):
            await asyncio.sleep(SHORT_SECONDS / 2)  # idle for longer in all than a request may take
            writer.write(HEALTH)
            assert (await read_answer(reader)).endswith(b"ok")
        writer.close()


async def test_answer_that_takes_too_long_is_broken_off(tls: LoopbackTls) -> None:
    app, _, may_go_on = slow_app()
    async with serve(tls, app, request_seconds=SHORT_SECONDS) as site:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        async with asyncio.timeout(5):
            assert await read_to_end(reader) == b""
        may_go_on.set()
        writer.close()


@pytest.mark.parametrize("requests", [0, 1, 2])
async def test_idle_connection_is_closed(tls: LoopbackTls, requests: int) -> None:
    async with serve(tls, keep_alive_seconds=SHORT_SECONDS) as site:
        reader, writer = await site.connect()
        for _ in range(requests):
            writer.write(HEALTH)
            await read_answer(reader)

        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_connection_is_idle_again_after_a_body_that_nobody_read(tls: LoopbackTls) -> None:
    async with serve(tls, keep_alive_seconds=SHORT_SECONDS) as site:
        reader, writer = await site.connect()
        writer.write(b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
        await read_answer(reader)
        writer.write(b"345")

        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(("excess_bytes", "status"), [(-1, b"200"), (0, b"200"), (1, b"400")])
async def test_size_of_a_head_is_limited(tls: LoopbackTls, excess_bytes: int, status: bytes) -> None:
    begin = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Filler: "
    filler = b"x" * (MAX_HEAD_BYTES + excess_bytes - len(begin))
    async with serve(tls) as site:
        reader, writer = await site.connect()
        writer.write(begin + filler)
        await writer.drain()
        await asyncio.sleep(SHORT_SECONDS / 3)  # a head is judged while it is incomplete
        writer.write(b"\r\n\r\n")

        head = await reader.readuntil(b"\r\n\r\n")

        assert head.split()[1] == status
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n\r\nhello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    ],
)
async def test_garbage_gets_a_400_and_nothing_else_happens(tls: LoopbackTls, sent: bytes) -> None:
    async with serve(tls) as site:
        reader, writer = await site.connect()
        writer.write(sent + b"\r\n\r\n")
        assert (await read_to_end(reader)).startswith(b"HTTP/1.1 400 ")
        writer.close()

        reader, writer = await site.connect()
        writer.write(HEALTH)
        assert (await read_answer(reader)).endswith(b"ok")
        writer.close()


async def test_garbage_after_an_answer_ends_the_connection_only(tls: LoopbackTls) -> None:
    async with serve(tls) as site:
        reader, writer = await site.connect()
        writer.write(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 404 ")
        writer.write(b"this is no chunk\r\n\r\n")

        async with asyncio.timeout(5):
            assert await read_to_end(reader) == b""
        writer.close()


async def test_connections_are_limited_and_a_free_place_is_given_again(tls: LoopbackTls) -> None:
    async with serve(tls, max_connections=2) as site:
        first, second, third = [await site.connect() for _ in range(3)]
        assert (await read_to_end(third[0])).startswith(b"HTTP/1.1 503 ")
        for reader, writer in (first, second):
            writer.write(HEALTH)
            assert (await read_answer(reader)).endswith(b"ok")
        first[1].close()
        await first[1].wait_closed()

        reader, writer = await site.connect()
        writer.write(HEALTH)
        assert (await read_answer(reader)).endswith(b"ok")
        for connection in (second, third, (reader, writer)):
            connection[1].close()


async def test_same_request_cut_anywhere_gives_the_same_answer(tls: LoopbackTls) -> None:
    request = b"POST /register HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    answers = set()
    async with serve(tls) as site:
        reader, writer = await site.connect()
        for cut in range(len(request) + 1):
            writer.write(request[:cut])
            await asyncio.sleep(0)
            writer.write(request[cut:])
            answers.add((await read_answer(reader))[:15])
        writer.close()

    assert answers == {b"HTTP/1.1 200 OK"}


async def test_answers_are_dated_and_say_nothing_about_the_program(tls: LoopbackTls) -> None:
    async with serve(tls) as site:
        reader, writer = await site.connect()
        writer.write(HEALTH)
        head = (await read_answer(reader)).decode().partition("\r\n\r\n")[0]
        writer.close()

    headers = dict(line.split(": ", 1) for line in head.lower().splitlines()[1:])
    assert abs(parsedate_to_datetime(headers["date"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert "server" not in headers


async def test_open_request_is_answered_when_the_node_stops(tls: LoopbackTls) -> None:
    app, begun, may_go_on = slow_app()
    async with serve(tls, app) as site:
        idle_reader, idle_writer = await site.connect()
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        asyncio.get_running_loop().call_later(SHORT_SECONDS, may_go_on.set)

    assert (await read_answer(reader)).endswith(b'"done"')
    assert await reader.read() == b""
    assert await idle_reader.read() == b""
    for each in (writer, idle_writer):
        each.close()


async def test_request_that_does_not_end_is_broken_off_after_the_grace(tls: LoopbackTls) -> None:
    app, begun, _ = slow_app()
    async with serve(tls, app, grace_seconds=SHORT_SECONDS) as site:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()

    assert await read_to_end(reader) == b""
    writer.close()
