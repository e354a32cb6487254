"""One TLS listener, three protocols: real sockets, real handshakes, uvloop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import pytest

from mailnode.http.app import create_app
from mailnode.http.multiplexer import Multiplexer
from mailnode.http.protocol import HttpServer
from support.pages_site import SITE, CountingRegistrar
from support.pages_tls import LOOPBACK, LoopbackTls

pytestmark = pytest.mark.anyio


class Greeter(asyncio.Protocol):
    """Greets with its name and the client's port, then answers each line with the line."""

    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        host, port = transport.get_extra_info("peername")
        self._transport.write(f"{self._name} greets {host} {port}\n".encode())

    def data_received(self, data: bytes) -> None:
        self._transport.write(data.upper())


class GreetingServer:
    def __init__(self, name: str) -> None:
        self._name = name
        self.security: list[bool] = []

    def build_protocol(self, *, is_secure: bool) -> asyncio.Protocol:
        self.security.append(is_secure)
        return Greeter(self._name)


class Shared:
    """The shared listener with all that it leads to."""

    def __init__(self, folder: Path) -> None:
        self.tls = LoopbackTls(folder)
        self.accounts = CountingRegistrar()
        self.imap, self.smtp = GreetingServer("imap"), GreetingServer("smtp")
        self.http = HttpServer(create_app(accounts=self.accounts, read_site=lambda: SITE))
        self.port = 0

    async def connect(self, *alpn: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(LOOPBACK, self.port, ssl=self.tls.client(*alpn))


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Shared]:
    shared = Shared(tmp_path)
    multiplexer = Multiplexer(imap=shared.imap, smtp=shared.smtp, http=shared.http)
    async with AsyncExitStack() as stack:
        await shared.http.start(stack)
        shared.port = await stack.enter_async_context(shared.tls.listen(multiplexer.build_protocol))
        yield shared


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[bytes, bytes]:
    """Send a request; returns the answer's head and body."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = [line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
    return head, await reader.readexactly(int(length))


@pytest.mark.parametrize("name", ["imap", "smtp"])
async def test_mail_client_is_led_to_its_protocol_and_keeps_its_address(shared: Shared, name: str) -> None:
    reader, writer = await shared.connect(name)
    host, port = writer.get_extra_info("sockname")

    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == name
    assert await reader.readline() == f"{name} greets {host} {port}\n".encode()
    for line in (b"first\n", b"second\n"):
        writer.write(line)
        assert await reader.readline() == line.upper()
    assert {"imap": shared.imap, "smtp": shared.smtp}[name].security == [True]
    writer.close()


@pytest.mark.parametrize("alpn", [[], ["http/1.1"], ["h2", "http/1.1"], ["h2"], ["pop3"]])
async def test_everybody_else_gets_http(shared: Shared, alpn: list[str]) -> None:
    reader, writer = await shared.connect(*alpn)

    head, body = await ask(reader, writer, b"GET /healthz HTTP/1.1\r\nHost: mail.example.org\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"ok"
    writer.close()


async def test_client_that_asks_for_several_gets_what_we_prefer(shared: Shared) -> None:
    reader, writer = await shared.connect("http/1.1", "imap")

    assert (await reader.readline()).startswith(b"imap greets ")
    writer.close()


async def test_one_connection_serves_several_requests(shared: Shared) -> None:
    reader, writer = await shared.connect("http/1.1")

    answers = [
        await ask(reader, writer, f"GET {path} HTTP/1.1\r\nHost: mail.example.org\r\n\r\n".encode())
        for path in ("/healthz", "/", "/nowhere", "/docs", "/healthz")
    ]

    assert [head.split()[1] for head, _ in answers] == [b"200", b"200", b"404", b"200", b"200"]
    assert answers[0][1] == answers[-1][1] == b"ok"
    writer.close()


async def test_requests_sent_at_once_are_answered_in_their_order(shared: Shared) -> None:
    reader, writer = await shared.connect()
    paths = ["/healthz", "/static/icon.svg", "/nowhere"]

    requests = [f"GET {path} HTTP/1.1\r\nHost: mail.example.org\r\n\r\n".encode() for path in paths]
    answers = [
        await ask(reader, writer, b"".join(requests)),
        await ask(reader, writer, b""),
        await ask(reader, writer, b""),
    ]

    assert [head.split()[1] for head, _ in answers] == [b"200", b"200", b"404"]
    assert answers[1][1].startswith(b"<svg")
    writer.close()


async def test_registration_counts_for_the_real_client(shared: Shared) -> None:
    reader, writer = await shared.connect()

    head, _ = await ask(
        reader,
        writer,
        b"POST /new HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 0\r\n"
        b"X-Forwarded-For: 192.0.2.99\r\nForwarded: for=192.0.2.99\r\n\r\n",
    )

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert shared.accounts.clients == [LOOPBACK]
    writer.close()


async def test_form_of_the_landing_page_works_over_tls(shared: Shared) -> None:
    reader, writer = await shared.connect()
    origin = f"Host: mail.example.org:{shared.port}\r\nOrigin: https://mail.example.org:{shared.port}\r\n"

    head, body = await ask(
        reader, writer, f"POST /register HTTP/1.1\r\n{origin}Content-Length: 0\r\n\r\n".encode()
    )

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"dclogin:user00001@example.org" in body
    writer.close()
