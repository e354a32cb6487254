"""Clients that take more than their part, and sessions that end in the middle of a message."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailnode.smtp.reader import UNCOUNTED_MESSAGE_BYTES
from mailnode.smtp.replies import SHUTTING_DOWN
from mailnode.smtp.server import SmtpLimits
from support.clocks import until
from support.openpgp_messages import ALICE, BOB, encrypted_mail
from support.smtp_site import HOST, SmtpSite, running_site
from support.smtp_wire import Wire

MESSAGE = bytes(encrypted_mail())
FLOOD = 10_000
TURNS = 100
ROOM_BYTES = 4 * UNCOUNTED_MESSAGE_BYTES

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SmtpSite]:
    async with running_site(tmp_path) as site:
        yield site


@pytest.fixture
async def small_site(tmp_path: Path) -> AsyncIterator[SmtpSite]:
    limits = SmtpLimits(unfinished_bytes=ROOM_BYTES, mail_rate=None)
    async with running_site(tmp_path, limits=limits) as site:
        yield site


async def test_flood_of_commands_leaves_time_for_others(site: SmtpSite) -> None:
    wire = Wire()
    wire.protocol = site.server.build_protocol(is_secure=False)
    wire.protocol.connection_made(wire)
    wire.protocol.data_received(b"NOOP\r\n" * FLOOD)

    turns = 0
    while wire.written.count(b"250 ") < FLOOD:
        await asyncio.sleep(0)
        turns += 1

    assert turns > TURNS
    wire.close()


async def test_flood_of_commands_is_answered_while_it_comes(site: SmtpSite) -> None:
    wire = Wire()
    wire.protocol = site.server.build_protocol(is_secure=False)
    wire.protocol.connection_made(wire)

    for _ in range(TURNS):
        wire.protocol.data_received(b"NOOP\r\n" * TURNS)
        await asyncio.sleep(0)

    assert wire.written.count(b"250 ") > TURNS
    wire.close()


@pytest.mark.parametrize("change", ["ban", "stop"])
async def test_message_that_is_still_coming_ends_with_its_session(site: SmtpSite, change: str) -> None:
    client = await site.user()
    await client.open_mail()
    client.send(MESSAGE)
    await client.writer.drain()

    if change == "ban":
        await site.accounts.change_ban(ALICE, is_banned=True)
    else:
        await site.server._end_sessions()  # noqa: SLF001 - what unwinding the stack calls
    assert (await client.reply()).code == 421
    client.send(b".\r\n")
    await client.rest()

    assert await site.inbox(BOB) == []


async def test_message_whose_sender_was_told_to_come_back_is_not_kept(site: SmtpSite) -> None:
    client = await site.user()
    await client.open_mail()
    (connection,) = site.server._connections  # noqa: SLF001 - both must happen within one turn of the loop

    connection.end_soon(SHUTTING_DOWN)
    connection.data_received(MESSAGE + b".\r\n")

    assert (await client.reply()).code == 421
    assert await client.rest() == b""
    assert await site.inbox(BOB) == []


async def test_unfinished_messages_take_bounded_memory(small_site: SmtpSite) -> None:
    hoarders = [await small_site.user() for _ in range(4)]
    for hoarder in hoarders:
        await hoarder.open_mail()
        hoarder.send(b"x" * 2 * UNCOUNTED_MESSAGE_BYTES)

    ends = [asyncio.ensure_future(hoarder.rest()) for hoarder in hoarders]
    done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    assert (await next(iter(done))).startswith(b"421 4.3.1 ")
    await until(lambda: small_site.server.room.held_bytes <= ROOM_BYTES)

    assert (await (await small_site.user()).submit(MESSAGE)).code == 250  # a small one goes through
    for end in ends:
        end.cancel()


async def test_finished_message_makes_room(small_site: SmtpSite) -> None:
    client = await small_site.user()
    large = bytes(encrypted_mail()) + b"\r\n" + b"x\r\n" * (ROOM_BYTES // 6)

    for _ in range(5):
        assert (await client.submit(large)).code == 523
        assert small_site.server.room.held_bytes == 0


async def test_broken_off_message_makes_room(small_site: SmtpSite) -> None:
    client = await small_site.user()
    await client.open_mail()
    client.send(b"x" * UNCOUNTED_MESSAGE_BYTES)
    await until(lambda: small_site.server.room.held_bytes > 0)

    client.writer.transport.abort()

    await until(lambda: small_site.server.room.held_bytes == 0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_comes_with_the_end_of_the_handshake_is_heard(site: SmtpSite) -> None:
    client = await site.greeted(is_secure=False)
    assert (await client.ask("STARTTLS")).code == 220
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = site.client_tls.wrap_bio(incoming, outgoing, server_hostname=HOST)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            client.send(outgoing.read())
            incoming.write(await client.reader.read(65_536))

    tls.write(b"EHLO x\r\n")
    client.send(outgoing.read())  # with the last bytes of the handshake, as one segment

    answer = b""
    async with asyncio.timeout(5):
        while b"250 " not in answer:
            incoming.write(await client.reader.read(65_536))
            try:
                answer += tls.read(65_536)
            except ssl.SSLWantReadError:
                continue
