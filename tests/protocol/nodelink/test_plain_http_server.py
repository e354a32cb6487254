"""Port 80 as authorities, browsers and strangers meet it."""

import asyncio
import os
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from nodelink.daemon.listeners import listen_tcp
from nodelink.daemon.plain_http_server import MAX_CHALLENGE_BYTES, Bounds, PlainHttpServer
from nodelink.daemon.service_manager import Systemd

pytestmark = pytest.mark.anyio

LOOPBACK = "127.0.0.1"
ORIGIN = "https://chat.example.org"
SHORT_SECONDS = 0.2
SOON_SECONDS = 10
CHALLENGE = "/.well-known/acme-challenge/"


class Port:
    """A port that is served, and ways to use it."""

    def __init__(self, number: int) -> None:
        self.number = number

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(LOOPBACK, self.number)

    async def ask(self, sent: bytes) -> bytes:
        """Send, and read until the other side closes."""
        reader, writer = await self.connect()
        writer.write(sent)
        async with asyncio.timeout(SOON_SECONDS):
            answer = await reader.read()
        writer.close()
        return answer

    async def get(self, target: str) -> bytes:
        return await self.ask(f"GET {target} HTTP/1.1\r\n\r\n".encode())


@asynccontextmanager
async def serve(challenges: Path | None = None, bounds: Bounds | None = None) -> AsyncIterator[Port]:
    async with AsyncExitStack() as stack:
        sockets = listen_tcp(Systemd(address="", watchdog_seconds=None), "http", [LOOPBACK], 0)
        await PlainHttpServer(ORIGIN, challenges, bounds=bounds).start(stack, sockets)
        yield Port(sockets[0].getsockname()[1])


async def is_closed(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(SOON_SECONDS):
        try:
            return await reader.read() == b""
        except ConnectionResetError:
            return True


async def test_challenge_is_served_from_the_moment_its_file_is_there(tmp_path: Path) -> None:
    async with serve(tmp_path) as port:
        before = await port.get(f"{CHALLENGE}a-token")
        (tmp_path / "a-token").write_bytes(b"a-token.thumbprint")
        after = await port.get(f"{CHALLENGE}a-token")

    assert before.startswith(b"HTTP/1.1 404 ")
    assert after.endswith(b"\r\n\r\na-token.thumbprint")


@pytest.mark.parametrize("size", [MAX_CHALLENGE_BYTES - 1, MAX_CHALLENGE_BYTES])
async def test_challenge_up_to_the_limit_is_served_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"x" * size)
    async with serve(tmp_path) as port:
        assert (await port.get(f"{CHALLENGE}a")).endswith(b"\r\n\r\n" + b"x" * size)


async def test_challenge_over_the_limit_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (MAX_CHALLENGE_BYTES + 1))
    async with serve(tmp_path) as port:
        assert (await port.get(f"{CHALLENGE}a")).startswith(b"HTTP/1.1 404 ")


async def test_what_is_no_file_of_the_acme_client_is_not_served(tmp_path: Path) -> None:
    directory = tmp_path / "challenges"
    (directory / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (directory / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(directory / "pipe")
    async with serve(directory) as port:
        answers = [await port.get(CHALLENGE + name) for name in ("folder", "link", "pipe", "../secret", "")]

    assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 404 Not Found"}


async def test_without_a_directory_there_is_no_challenge() -> None:
    async with serve() as port:
        assert (await port.get(f"{CHALLENGE}a")).startswith(b"HTTP/1.1 404 ")


async def test_a_library_understands_the_challenge(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")

    def fetch(port: Port) -> bytes:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port.number}{CHALLENGE}a", timeout=5) as answer:
            content: bytes = answer.read()
            return content

    async with serve(tmp_path) as port:
        assert await asyncio.to_thread(fetch, port) == b"content"


async def test_redirect_leads_to_our_origin_whatever_the_client_says_of_itself() -> None:
    async with serve() as port:
        answer = await port.ask(
            b"GET /a?b=c HTTP/1.1\r\nHost: other.example.org\r\nX-Forwarded-Host: other.example.org\r\n\r\n"
        )

    assert answer.startswith(
        b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://chat.example.org/a?b=c\r\n"
    )
    assert b"other.example.org" not in answer


async def test_a_connection_has_one_answer() -> None:
    async with serve() as port:
        answer = await port.ask(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")

    assert answer.count(b"HTTP/1.1 ") == 1


async def test_client_that_goes_on_sending_reads_its_answer() -> None:
    async with serve() as port:
        reader, writer = await port.connect()
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
        writer.write(b"x" * 1_000_000)
        async with asyncio.timeout(SOON_SECONDS):
            await writer.drain()
            assert (await reader.read()).startswith(b"HTTP/1.1 301 ")
        writer.close()


async def test_head_may_come_byte_by_byte() -> None:
    async with serve() as port:
        reader, writer = await port.connect()
        for number in b"HEAD / HTTP/1.0\r\n\r\n":
            writer.write(bytes([number]))
            await writer.drain()
        async with asyncio.timeout(SOON_SECONDS):
            assert (await reader.read()).startswith(b"HTTP/1.1 301 ")
        writer.close()


async def test_client_that_says_nothing_is_ended_in_time() -> None:
    async with serve(bounds=Bounds(head_seconds=SHORT_SECONDS)) as port:
        reader, writer = await port.connect()
        writer.write(b"GET / HTTP/1.1\r\nX: y")
        assert await is_closed(reader)
        writer.close()


async def test_client_that_does_not_leave_is_ended_in_time() -> None:
    async with serve(bounds=Bounds(farewell_seconds=SHORT_SECONDS)) as port:
        reader, writer = await port.connect()
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(SOON_SECONDS):
            await reader.read()
            while True:
                writer.write(b"x")
                try:
                    await writer.drain()
                except ConnectionError:
                    break
                await asyncio.sleep(SHORT_SECONDS / 10)
        writer.close()


async def test_client_that_leaves_without_a_question_gets_nothing() -> None:
    async with serve() as port:
        reader, writer = await port.connect()
        writer.write(b"GET / HTTP/1.1\r\n")
        writer.write_eof()
        assert await is_closed(reader)
        writer.close()


async def test_connections_up_to_the_limit_stay_and_beyond_it_the_oldest_gives_way() -> None:
    async with serve(bounds=Bounds(max_connections=2)) as port:
        first, second = await port.connect(), await port.connect()
        first[1].write(b"GET /1 HTTP/1.1\r\n")
        await asyncio.sleep(SHORT_SECONDS)
        assert not first[0].at_eof()

        newcomer = await port.connect()
        assert await is_closed(first[0])
        for reader, writer in (second, newcomer):
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            async with asyncio.timeout(SOON_SECONDS):
                assert (await reader.read()).startswith(b"HTTP/1.1 301 ")
        for _, writer in (first, second, newcomer):
            writer.close()


async def test_open_connections_end_with_the_server() -> None:
    async with serve() as port:
        reader, writer = await port.connect()
        await port.get("/")
    assert await is_closed(reader)
    writer.close()
