"""How much and how long: at, below and above each limit."""

import asyncio
import resource
import socket
from pathlib import Path

import pytest

from mailnode.accounts.policy import Policy
from mailnode.imap.server import SessionLimits
from support.clocks import until
from support.imap_server import HOST, SIMPLE, Client, ImapSite, running_site

pytestmark = pytest.mark.anyio

SMALL = Policy(message_bytes=70_000)
SOON = 0.05


async def test_64_megabytes_without_a_line_end_take_no_memory(site: ImapSite) -> None:
    client = await site.connect()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ConnectionError):
        await _send_in_pieces(client, b"x" * 65_536, times=1024)

    await until(lambda: site.server.session_count == 0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 20_000


@pytest.mark.parametrize("line_bytes", [8_191, 8_192])
async def test_line_within_the_limit_is_read_before_login(site: ImapSite, line_bytes: int) -> None:
    client = await site.connect()
    client.send(b"x" + b" " * (line_bytes - 2) + b"\r\n")

    assert (await client.line()).startswith(b"x BAD")


async def test_line_beyond_the_limit_ends_the_session(site: ImapSite) -> None:
    client = await site.connect()
    client.send(b"x" + b" " * 8_192 + b"\r\n")

    assert (await client.rest()).startswith(b"* BYE That line is too long")


async def test_users_may_send_longer_lines(site: ImapSite) -> None:
    client = await site.user()
    client.send(b"x" + b" " * (65_536 - 2) + b"\r\n")
    assert (await client.line()).startswith(b"x BAD")
    client.send(b"x" + b" " * 65_536 + b"\r\n")

    assert (await client.rest()).startswith(b"* BYE")


@pytest.mark.parametrize(("size_bytes", "is_taken"), [(4_095, True), (4_096, True), (4_097, False)])
async def test_literal_before_login_is_bounded(site: ImapSite, size_bytes: int, is_taken: bool) -> None:
    client = await site.connect()
    client.send(b"l1 LOGIN {%d}\r\n" % size_bytes)
    answer = await client.line()

    assert answer.startswith(b"+ " if is_taken else b"l1 NO [TOOBIG]")
    if not is_taken:
        await client.ok(b"NOOP")


async def test_literals_of_one_command_count_together(site: ImapSite) -> None:
    client = await site.connect()
    client.send(b"l1 LOGIN {4000+}\r\n" + b"x" * 4_000 + b" {97}\r\n")

    assert (await client.line()).startswith(b"l1 NO [TOOBIG]")


async def test_too_large_literal_that_comes_unasked_ends_the_session(site: ImapSite) -> None:
    client = await site.connect()
    client.send(b"l1 LOGIN {4097+}\r\n" + b"x" * 4_097)

    assert (await client.rest()).startswith(b"* BYE That literal is too large")


@pytest.mark.parametrize(("size_bytes", "is_taken"), [(69_999, True), (70_000, True), (70_001, False)])
async def test_message_is_bounded_by_the_policy(
    imap_certificate: Path,
    size_bytes: int,
    is_taken: bool,
) -> None:
    async with running_site(imap_certificate, policy=SMALL) as site:
        client = await site.user()
        client.send(b"l1 APPEND INBOX {%d}\r\n" % size_bytes)
        if not is_taken:
            assert await client.line() == b"l1 NO [TOOBIG] That message is too large"
            await client.ok(b"NOOP")
            client.send(b"l2 APPEND INBOX {%d+}\r\n" % size_bytes)
            assert (await client.rest()).startswith(b"* BYE")
            return
        assert await client.line() == b"+ OK"
        client.send(b"x" * size_bytes + b"\r\n")
        assert (await client.line()).startswith(b"l1 OK [APPENDUID")
        site.accounts.policy.current = Policy(message_bytes=size_bytes - 1)
        client.send(b"l2 APPEND INBOX {%d}\r\n" % size_bytes)
        assert (await client.line()).startswith(b"l2 NO [TOOBIG]")


async def test_many_mistakes_end_the_session(site: ImapSite) -> None:
    client = await site.connect()
    client.send(b"GET / HTTP/1.1\r\n" * 30)

    received = await client.rest()
    assert received.count(b"BAD") == 21
    assert received.endswith(b"* BYE Too many mistakes\r\n")


async def test_sessions_are_bounded_in_all_and_from_one_network(imap_certificate: Path) -> None:
    for limits in (SessionLimits(sessions=2), SessionLimits(sessions_per_prefix=2)):
        async with running_site(imap_certificate, limits=limits) as site:
            first = await site.connect()
            await site.connect()
            third = await site.connect_silently()
            assert (await third.rest()).startswith(b"* BYE Too many connections")
            await first.ok(b"LOGOUT")
            await until(lambda site=site: site.server.session_count == 1)  # type: ignore[misc] # mypy infers no lambda with a default
            await site.connect()


async def test_connection_without_a_login_is_closed_in_time(imap_certificate: Path) -> None:
    limits = SessionLimits(login_seconds=SOON, farewell_seconds=SOON)
    async with running_site(imap_certificate, limits=limits, turn_seconds=SOON) as site:
        client = await site.connect(is_secure=False)

        assert (await client.rest()).startswith(b"* BYE Log in sooner")


async def test_unfinished_handshake_is_closed_in_time(imap_certificate: Path) -> None:
    limits = SessionLimits(login_seconds=SOON, farewell_seconds=SOON)
    async with running_site(imap_certificate, limits=limits, turn_seconds=SOON) as site:
        client = await site.connect(is_secure=False)
        await client.ok(b"STARTTLS")

        assert await client.rest() == b""
        await until(lambda: site.server.session_count == 0)


async def test_silent_user_is_logged_out_but_not_while_in_idle(imap_certificate: Path) -> None:
    limits = SessionLimits(inactivity_seconds=1, keepalive_seconds=SOON, farewell_seconds=SOON)
    async with running_site(imap_certificate, limits=limits, turn_seconds=SOON) as site:
        silent, idle = await site.user(), await site.user()
        idle.send(b"i1 IDLE\r\n")
        assert await idle.line() == b"+ idling"

        assert await idle.line() == b"* OK Still here"
        assert (await silent.rest()).startswith(b"* BYE Inactive for too long")
        assert await idle.line() == b"* OK Still here"
        idle.send(b"DONE\r\n")
        assert (await idle.answer(b"i1"))[-1] == b"OK Idle completed"


async def test_client_that_does_not_read_is_cut_off(imap_certificate: Path) -> None:
    limits = SessionLimits(inactivity_seconds=0.5, keepalive_seconds=SOON, farewell_seconds=SOON)
    async with running_site(imap_certificate, limits=limits, turn_seconds=SOON) as site:
        await site.deliver(b"Subject: x\r\n\r\n" + b"x" * 20_000_000)
        client = await site.reader()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # it is a transport for both ways
        client.send(b"f1 FETCH 1 BODY.PEEK[]\r\n" * 4)

        await until(lambda: site.server.session_count == 0)


async def test_slow_reader_gets_everything_and_holds_up_nobody(site: ImapSite) -> None:
    message = b"Subject: x\r\n\r\n" + b"x" * 1_000_000
    await site.deliver(*[message] * 20)
    client = await _with_small_window(site)
    client.send(b"f1 FETCH 1:20 BODY.PEEK[]\r\nf2 NOOP\r\n")
    other = await site.reader()
    await site.deliver(SIMPLE)
    assert await other.ok(b"NOOP") == [b"* 21 EXISTS", b"* 1 RECENT"]

    lines = await client.answer(b"f1")
    assert [line.split()[1] for line in lines[:20]] == [b"%d" % number for number in range(1, 21)]
    assert all(line.endswith(message + b")") for line in lines[:20])
    assert (await client.answer(b"f2"))[-1] == b"OK Nothing done"


async def test_flood_of_commands_is_answered_one_by_one(site: ImapSite) -> None:
    client = await site.user()
    client.send(b"".join(b"n%d NOOP\r\n" % number for number in range(20_000)))

    for number in range(20_000):
        assert await client.line() == b"n%d OK Nothing done" % number


async def test_client_that_leaves_in_the_middle_does_no_harm(site: ImapSite) -> None:
    await site.deliver(*[b"Subject: x\r\n\r\n" + b"x" * 1_000_000] * 20)
    client = await _with_small_window(site)
    client.send(b"f1 FETCH 1:20 BODY.PEEK[]\r\n")
    await client.line()
    client.writer.transport.abort()

    await until(lambda: site.server.session_count == 0)
    await (await site.reader()).ok(b"FETCH 1 FLAGS")


async def test_stopping_says_goodbye_to_everybody(imap_certificate: Path) -> None:
    async with running_site(imap_certificate) as site:
        idle, fresh = await site.reader(), await site.connect(is_secure=False)
        idle.send(b"i1 IDLE\r\n")
        assert await idle.line() == b"+ idling"
        goodbyes = [asyncio.ensure_future(client.rest()) for client in (idle, fresh)]
        await site.server_stack.aclose()

        assert all(text.startswith(b"* BYE") for text in await asyncio.gather(*goodbyes))
        late = await site.connect_silently(is_secure=False)
        assert (await late.rest()).startswith(b"* BYE")


async def _send_in_pieces(client: Client, piece: bytes, times: int) -> None:
    for _ in range(times):
        client.send(piece)
        await client.writer.drain()


async def _with_small_window(site: ImapSite) -> Client:
    """Connect with a small receive buffer, so that the other side soon has to wait."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    raw.setblocking(False)  # noqa: FBT003 - the name of the method says it
    await asyncio.get_running_loop().sock_connect(raw, (HOST, site.tls_port))
    reader, writer = await asyncio.open_connection(
        sock=raw, ssl=site.client_tls, server_hostname=HOST, limit=1 << 26
    )
    site.stack.callback(writer.transport.abort)
    site.stack.callback(writer.close)
    client = Client(reader, writer)
    await client.line()
    await client.log_in()
    await client.ok(b"SELECT INBOX")
    return client
