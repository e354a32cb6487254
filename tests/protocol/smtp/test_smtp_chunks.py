"""Messages in chunks (BDAT, RFC 3030): taken whole, refused before they are read, never read as commands."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailnode.accounts.policy import Policy
from mailnode.smtp.limits import SmtpLimits
from mailnode.smtp.reader import UNCOUNTED_MESSAGE_BYTES
from support.openpgp_messages import ALICE, BOB, encrypted_mail, mail_header
from support.smtp_site import Client, SmtpSite, running_site
from support.turn_server import wait_until

MESSAGE = bytes(encrypted_mail())
MAX_BYTES = len(MESSAGE)
ROOM_BYTES = 1 << 20

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SmtpSite]:
    async with running_site(tmp_path, policy=Policy(message_bytes=MAX_BYTES)) as site:
        yield site


def chunk(content: bytes, *, is_last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(content), b" LAST" if is_last else b"", content)


async def open_mail(client: Client) -> None:
    assert await client.codes(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{BOB}>") == [250, 250]


async def say(client: Client, *chunks: bytes) -> list[int]:
    codes = []
    for each in chunks:
        client.send(each)
        codes.append((await client.reply()).code)
    return codes


def cut(size_bytes: int) -> list[bytes]:
    """Cut the message into chunks, of which the last one says so."""
    parts = [MESSAGE[start : start + size_bytes] for start in range(0, len(MESSAGE), size_bytes)]
    return [chunk(part, is_last=part is parts[-1]) for part in parts]


async def test_chunking_is_offered(site: SmtpSite) -> None:
    assert "CHUNKING" in (await (await site.greeted()).ask("EHLO x")).lines


@pytest.mark.parametrize("size_bytes", [7, 1_000, MAX_BYTES])
async def test_message_in_chunks_is_delivered_byte_for_byte(site: SmtpSite, size_bytes: int) -> None:
    client = await site.user()
    await open_mail(client)
    chunks = cut(size_bytes)

    assert await say(client, *chunks) == [250] * len(chunks)
    assert await site.inbox() == [MESSAGE]
    assert (await client.submit(MESSAGE)).code == 250
    assert site.server.room.held_bytes == 0


async def test_whole_transactions_are_taken_in_one_write(site: SmtpSite) -> None:
    client = await site.user()
    envelope = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\n".encode()

    client.send((envelope + chunk(MESSAGE[:99]) + chunk(MESSAGE[99:], is_last=True)) * 3 + b"NOOP\r\n")

    codes = [(await client.reply()).code for _ in range(13)]
    assert codes == [250] * 13
    assert await site.inbox() == [MESSAGE] * 3


async def test_last_chunk_may_be_empty_and_the_last_line_end_is_made(site: SmtpSite) -> None:
    client = await site.user()
    await open_mail(client)

    assert await say(client, chunk(MESSAGE[:-2]), b"bdat 0 last\r\n") == [250, 250]
    assert await site.inbox() == [MESSAGE]


async def test_chunk_over_the_size_is_refused_and_the_session_goes_on(site: SmtpSite) -> None:
    client = await site.user()
    await open_mail(client)
    client.send(chunk(MESSAGE + b"x", is_last=True))
    reply = await client.reply()
    assert (reply.code, reply.status) == (552, "5.3.4")

    await open_mail(client)
    assert await say(client, chunk(MESSAGE), chunk(b"x"), chunk(b"QUIT\r\n"), chunk(b"", is_last=True)) == [
        *[250, 552],
        *[503, 503],
    ]
    assert site.server.room.held_bytes == 0
    assert (await client.submit(MESSAGE)).code == 250
    assert await site.inbox() == [MESSAGE]


@pytest.mark.parametrize(("size_bytes", "goes_on"), [(2 * MAX_BYTES, True), (2 * MAX_BYTES + 1, False)])
async def test_chunk_far_over_the_size_is_not_even_read(
    site: SmtpSite, size_bytes: int, goes_on: bool
) -> None:
    client = await site.user()
    await open_mail(client)
    client.send(b"BDAT %d LAST\r\n" % size_bytes)

    if goes_on:
        client.send(b"x" * size_bytes + b"NOOP\r\n")
        assert [(await client.reply()).code for _ in range(2)] == [552, 250]
    else:
        assert (await client.reply()).code == 552
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "argument", ["", " ", "x", "-1", "5 FIRST", "5 LAST LAST", "LAST", "5LAST", "1" * 21, "\u0665", "0x5"]
)
async def test_chunk_of_unknown_size_ends_the_session(site: SmtpSite, argument: str) -> None:
    client = await site.user()
    await open_mail(client)

    client.send(f"BDAT {argument}".rstrip().encode() + b"\r\nNOOP\r\n")

    assert (await client.reply()).code == 501
    assert await client.rest() == b""


async def test_chunk_before_login_is_not_read_as_commands(site: SmtpSite) -> None:
    for is_secure in (True, False):
        client = await site.greeted(is_secure=is_secure)
        client.send(chunk(b"NOOP\r\n", is_last=True))
        assert (await client.reply()).code == 530
        assert await client.rest() == b""


async def test_chunk_without_recipients_is_thrown_away(site: SmtpSite) -> None:
    client = await site.user()
    assert await say(client, chunk(b"QUIT\r\n")) == [503]
    client.send(
        f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<nobody99@example.org>\r\n".encode()
        + chunk(b"QUIT\r\n")
        + chunk(MESSAGE, is_last=True)
        + b"NOOP\r\n"
    )

    assert [(await client.reply()).code for _ in range(5)] == [250, 550, 503, 503, 250]


async def test_other_commands_do_not_come_between_chunks(site: SmtpSite) -> None:
    client = await site.user()
    await open_mail(client)
    assert await say(client, chunk(MESSAGE[:50])) == [250]

    assert await client.codes(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{BOB}>", "DATA", "NOOP") == [
        *[503, 503],
        *[503, 250],
    ]
    assert await say(client, chunk(MESSAGE[50:], is_last=True)) == [250]
    assert await site.inbox() == [MESSAGE]


@pytest.mark.parametrize("command", ["RSET", "EHLO x", "HELO x"])
async def test_what_begins_afresh_forgets_the_chunks(site: SmtpSite, command: str) -> None:
    client = await site.user()
    await open_mail(client)
    await say(client, chunk(MESSAGE[:50]))
    assert site.server.room.held_bytes == 50

    assert (await client.ask(command)).code == 250
    assert site.server.room.held_bytes == 0
    assert await say(client, chunk(MESSAGE[50:], is_last=True)) == [503]
    await open_mail(client)
    assert await say(client, chunk(MESSAGE, is_last=True)) == [250]
    assert await site.inbox() == [MESSAGE]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (MESSAGE.replace(b"\r\n", b"\n", 1), 554),
        (MESSAGE[:-3] + b"\r", 554),
        (b"\r\n.\r\nQUIT\r\n", 523),
        (b"\r\n".join([*mail_header(), b"", b"Hello", b""]), 523),
        (b"", 523),
    ],
)
async def test_what_is_refused_after_data_is_refused_in_chunks(
    site: SmtpSite, content: bytes, code: int
) -> None:
    client = await site.user()
    await open_mail(client)

    assert await say(client, chunk(content, is_last=True)) == [code]
    assert (await client.submit(MESSAGE)).code == 250
    assert await site.inbox() == [MESSAGE]


async def test_broken_off_message_is_not_kept_and_makes_room(site: SmtpSite) -> None:
    client = await site.user()
    await open_mail(client)
    await say(client, chunk(MESSAGE[:50]))
    client.send(b"BDAT 100 LAST\r\nx")

    client.writer.close()

    await wait_until(lambda: site.server.room.held_bytes == 0)
    assert await site.inbox() == []


async def test_unfinished_chunks_take_bounded_memory(tmp_path: Path) -> None:
    limits = SmtpLimits(mail_rate=None, unfinished_bytes=ROOM_BYTES)
    async with running_site(tmp_path, limits=limits) as site:
        part = chunk(b"x" * (ROOM_BYTES // 2))
        hoarders = [await site.user() for _ in range(3)]
        for hoarder in hoarders:
            await open_mail(hoarder)
        assert [await say(hoarder, part) for hoarder in hoarders[:2]] == [[250], [250]]
        assert site.server.room.held_bytes == ROOM_BYTES

        hoarders[2].send(part)
        reply = await hoarders[2].reply()
        assert (reply.code, reply.status) == (421, "4.3.1")
        assert site.server.room.held_bytes == ROOM_BYTES
        client = await site.user()
        await open_mail(client)
        assert len(MESSAGE) < UNCOUNTED_MESSAGE_BYTES
        assert await say(client, chunk(MESSAGE, is_last=True)) == [250]  # a small one goes through


async def test_client_that_stops_within_a_chunk_is_sent_away(tmp_path: Path) -> None:
    async with running_site(tmp_path, limits=SmtpLimits(mail_rate=None, data_seconds=0.2)) as site:
        client = await site.user()
        await open_mail(client)
        client.send(b"BDAT 100\r\nx")

        async with asyncio.timeout(10):
            assert (await client.reply()).code == 421
        assert await client.rest() == b""
