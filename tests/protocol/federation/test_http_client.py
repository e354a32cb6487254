"""The client of uploads, against servers that answer with any bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailnode import http_client
from mailnode.http_client import (
    CONNECTIONS_PER_SITE,
    BrokenAnswerError,
    ConnectError,
    HttpError,
    Question,
    Site,
    TooLongError,
)

pytestmark = pytest.mark.anyio

HOST = "127.0.0.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POST = Question("POST", "/mxdeliv", "far.example", [("x-mail-from", "a@home.example")], b"body")
ANSWER_BYTES = 100


@dataclass
class Server:
    """Answers each question with the next of `answers`; the last one again and again."""

    answers: list[bytes]
    closes: bool = False
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most: int = 0
    pause_seconds: float = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
                self.heard.append(head + await reader.readexactly(size))
                self.open_now += 1
                self.most = max(self.most, self.open_now)
                await asyncio.sleep(self.pause_seconds)
                self.open_now -= 1
                writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
                if self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def talking(server: Server) -> AsyncIterator[Site]:
    listener = await asyncio.start_server(server.serve, HOST, 0)
    server.port = listener.sockets[0].getsockname()[1]
    site = Site(port=server.port, name=HOST, tls=None, max_answer_bytes=ANSWER_BYTES)
    async with asyncio.timeout(10):
        try:
            yield site
        finally:
            site.close()
            listener.close()


async def test_a_question_comes_as_it_was_put_and_the_connection_is_kept() -> None:
    server = Server([b"HTTP/1.1 100 Continue\r\n\r\n" + OK])
    async with talking(server) as site:
        assert [await site.ask(HOST, POST) for _ in range(3)] == [(200, b"ok")] * 3

    assert server.connections == 1
    head, _, body = server.heard[2].partition(b"\r\n\r\n")
    assert head.splitlines() == [
        b"POST /mxdeliv HTTP/1.1",
        b"host: far.example",
        b"x-mail-from: a@home.example",
        b"content-length: 4",
    ]
    assert body == b"body"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nfar",
    ],
    ids=["says so", "ends with the connection", "more than was asked for"],
)
async def test_a_connection_that_may_not_be_used_again_is_not(answer: bytes) -> None:
    server = Server([answer], closes=not answer.startswith(OK))
    async with talking(server) as site:
        assert [await site.ask(HOST, POST) for _ in range(2)] == [(200, b"ok")] * 2

    assert server.connections == 2


async def test_a_connection_that_they_closed_meanwhile_is_not_used() -> None:
    server = Server([OK], closes=True)
    async with talking(server) as site:
        assert await site.ask(HOST, POST) == (200, b"ok")
        await asyncio.sleep(0.05)
        assert await site.ask(HOST, POST) == (200, b"ok")

    assert server.connections == 2


async def test_a_connection_that_waited_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "KEEP_ALIVE_SECONDS", 0.02)
    server = Server([OK])
    async with talking(server) as site:
        await site.ask(HOST, POST)
        await asyncio.sleep(0.1)
        await site.ask(HOST, POST)

    assert server.connections == 2


@pytest.mark.parametrize("size", [ANSWER_BYTES - 1, ANSWER_BYTES])
async def test_an_answer_may_be_as_long_as_is_read(size: int) -> None:
    async with talking(
        Server([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size])
    ) as site:
        assert await site.ask(HOST, POST) == (200, b"x" * size)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101, TooLongError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101, TooLongError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", BrokenAnswerError),
        (b"220 far.example ESMTP\r\n\r\n", BrokenAnswerError),
        (b"", BrokenAnswerError),
    ],
    ids=["too long", "too long in chunks", "not whole", "another protocol", "none"],
)
async def test_what_is_no_whole_answer_is_none(answer: bytes, error: type[HttpError]) -> None:
    server = Server([answer], closes=True)
    async with talking(server) as site:
        with pytest.raises(error):
            await site.ask(HOST, POST)
        server.answers, server.closes = [OK], False
        assert await site.ask(HOST, POST) == (200, b"ok")


async def test_nobody_there_and_what_cannot_be_asked_are_told_apart_from_answers() -> None:
    async with talking(Server([OK])) as site:
        with pytest.raises(ConnectError):
            await Site(port=1, name=HOST, tls=None).ask(HOST, POST)
        with pytest.raises(ConnectError, match="cannot be asked"):
            await site.ask(HOST, Question("POST", "/a b", "far.example"))


async def test_a_server_gets_so_many_connections_and_no_more() -> None:
    server = Server([OK], pause_seconds=0.02)
    async with talking(server) as site, asyncio.TaskGroup() as group:
        for _ in range(3 * CONNECTIONS_PER_SITE):
            group.create_task(site.ask(HOST, POST))

    assert (server.connections, server.most) == (CONNECTIONS_PER_SITE, CONNECTIONS_PER_SITE)
    assert len(server.heard) == 3 * CONNECTIONS_PER_SITE


async def test_who_stops_waiting_leaves_room_and_no_answer_for_others() -> None:
    server = Server([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold", OK], pause_seconds=0.1)
    async with talking(server) as site:
        for _ in range(CONNECTIONS_PER_SITE + 1):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await site.ask(HOST, POST)
        server.answers, server.pause_seconds = [OK], 0
        assert await site.ask(HOST, POST) == (200, b"ok")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: b"HTTP/1.1 200 OK\r\n" + tail))
def test_any_bytes_are_an_answer_or_an_error_of_ours(answer: bytes) -> None:
    async def ask() -> None:
        async with talking(Server([answer], closes=True)) as site:
            try:
                status, _ = await site.ask(HOST, POST)
            except HttpError:
                return
            assert 200 <= status < 1000

    asyncio.run(ask())
