"""Limits, deadlines, and how sessions end."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from mailnode.smtp.limits import MAX_COMMAND_BYTES, MAX_LONG_COMMAND_BYTES
from mailnode.smtp.reader import MAX_DRAINED_LINE_BYTES
from mailnode.smtp.server import SmtpLimits
from support.clocks import until
from support.openpgp_messages import ALICE, BOB, encrypted_mail
from support.smtp_site import HOST, SmtpSite, running_site

MESSAGE = bytes(encrypted_mail())
MAIL = f"MAIL FROM:<{ALICE}>"
RCPT = f"RCPT TO:<{BOB}>"

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SmtpSite]:
    async with running_site(tmp_path) as site:
        yield site


@pytest.mark.parametrize("offset", [-1, 0, 1])
async def test_command_lines_are_limited(site: SmtpSite, offset: int) -> None:
    client = await site.user()
    noop = b"NOOP ".ljust(MAX_COMMAND_BYTES - 2 + offset, b"x")
    mail = MAIL.encode().ljust(MAX_LONG_COMMAND_BYTES - 2 + offset, b" ")

    is_too_long = offset > 0
    assert (await client.ask(noop)).code == (500 if is_too_long else 250)
    assert (await client.ask(mail)).code == (500 if is_too_long else 250)
    assert (await client.ask("NOOP")).code == 250


async def test_endless_line_ends_the_session_before_it_takes_memory(site: SmtpSite) -> None:
    client = await site.connect(is_secure=False)
    await client.reply()
    client.send(b"x" * 10_000_000)

    assert (await client.rest()).startswith(b"421 4.3.4")


@pytest.mark.parametrize("offset", [-1, 0, 1])
async def test_line_that_is_too_long_is_drained_up_to_a_limit(site: SmtpSite, offset: int) -> None:
    client = await site.user()
    client.send(b"x" * (MAX_DRAINED_LINE_BYTES + offset) + b"\r\n")

    assert (await client.reply()).code == (421 if offset > 0 else 500)


@pytest.mark.parametrize("asked", [4, 5, 6])
async def test_recipients_are_limited(tmp_path: Path, asked: int) -> None:
    async with running_site(tmp_path, limits=SmtpLimits(recipients=5, mail_rate=None)) as site:
        client = await site.user()
        await client.ask(MAIL)

        codes = await client.codes(*[RCPT] * asked)

        assert codes == [250] * min(asked, 5) + [452] * (asked - 5)
        assert (await client.ask("DATA")).code == 354


async def test_thousand_recipients_are_the_default() -> None:
    assert SmtpLimits().recipients == 1_000


@pytest.mark.parametrize("count", [2, 3, 4])
async def test_errors_are_limited(tmp_path: Path, count: int) -> None:
    async with running_site(tmp_path, limits=SmtpLimits(errors=3, mail_rate=None)) as site:
        client = await site.user()
        client.send(b"XYZZY\r\n" * count)
        assert [(await client.reply()).code for _ in range(count)] == [500] * count

        if count <= 3:
            assert (await client.ask("NOOP")).code == 250
        else:
            assert (await client.reply()).code == 421
            assert await client.rest() == b""


async def test_guesses_of_a_password_are_limited(tmp_path: Path) -> None:
    async with running_site(tmp_path, limits=SmtpLimits(errors=2)) as site:
        await site.account(ALICE)
        client = await site.greeted()

        assert [(await client.log_in(ALICE, "a wrong password")).code for _ in range(3)] == [535] * 3
        assert (await client.reply()).code == 421


async def test_accepted_message_forgives_errors(tmp_path: Path) -> None:
    async with running_site(tmp_path, limits=SmtpLimits(errors=2, mail_rate=None)) as site:
        client = await site.user()
        for _ in range(3):
            assert await client.codes("XYZZY", "XYZZY") == [500, 500]
            assert (await client.submit(MESSAGE)).code == 250


async def test_refused_recipients_and_what_follows_them_are_no_errors(tmp_path: Path) -> None:
    async with running_site(tmp_path, limits=SmtpLimits(errors=2, mail_rate=None)) as site:
        client = await site.user()
        await client.ask(MAIL)

        assert set(await client.codes(*["RCPT TO:<x@example.net>"] * 20)) == {550}
        assert set(await client.codes(*["DATA"] * 20)) == {503}


@pytest.mark.parametrize("per_prefix", [True, False])
async def test_connections_are_limited(tmp_path: Path, per_prefix: bool) -> None:
    limits = SmtpLimits(sessions_per_prefix=2) if per_prefix else SmtpLimits(sessions=2)
    async with running_site(tmp_path, limits=limits) as site:
        first = await site.greeted()
        await site.greeted()

        third = await site.connect()
        assert (await third.reply()).code == 421
        assert await third.rest() == b""
        assert site.server.session_count == 2

        await first.ask("QUIT")
        await first.rest()
        assert (await (await site.greeted()).ask("NOOP")).code == 250


async def test_silent_client_is_disconnected_before_its_login(tmp_path: Path) -> None:
    async with running_site(tmp_path, limits=SmtpLimits(login_seconds=0.1)) as site:
        client = await site.connect()

        assert (await client.rest()).endswith(b"421 4.4.2 Nothing heard for too long\r\n")


async def test_silent_client_is_disconnected_after_its_login(tmp_path: Path) -> None:
    async with running_site(tmp_path, limits=SmtpLimits(idle_seconds=0.1)) as site:
        client = await site.user()

        assert (await client.rest()).startswith(b"421 4.4.2 ")


async def test_message_that_does_not_come_ends_the_session(tmp_path: Path) -> None:
    async with running_site(tmp_path, limits=SmtpLimits(data_seconds=0.1, mail_rate=None)) as site:
        client = await site.user()
        await client.open_mail()
        client.send(MESSAGE)

        assert (await client.rest()).startswith(b"421 4.4.2 ")
        assert await site.inbox(BOB) == []


async def test_client_that_does_not_take_our_words_is_cut_off(tmp_path: Path) -> None:
    limits = SmtpLimits(idle_seconds=0.2, login_seconds=0.2, farewell_seconds=0.1)
    async with running_site(tmp_path, limits=limits) as site:
        with socket.create_connection((HOST, site.plain_port)) as client:
            client.settimeout(0)
            with suppress(BlockingIOError, ConnectionError):
                while True:
                    client.send(b"HELP\r\n" * 5_000)
                    await asyncio.sleep(0.001)
            await until(lambda: site.server.session_count == 0)


@pytest.mark.parametrize("change", ["ban", "remove", "password"])
async def test_session_ends_with_its_account(site: SmtpSite, change: str) -> None:
    client, other = await site.user(), await site.user(BOB)
    match change:
        case "ban":
            await site.accounts.change_ban(ALICE, is_banned=True)
        case "remove":
            await site.accounts.remove(ALICE)
        case _:
            await site.accounts.change_password(ALICE, "another good password")

    assert (await client.rest()).startswith(b"421 4.7.0 ")
    assert (await other.ask("NOOP")).code == 250


async def test_account_has_no_session_after_its_clients_have_left(site: SmtpSite) -> None:
    client = await site.user()
    assert site.accounts.count_sessions() == 1

    await client.ask("QUIT")
    await client.rest()
    await until(lambda: site.server.session_count == 0)
    assert site.accounts.count_sessions() == 0


async def test_client_that_breaks_off_within_a_message_leaves_nothing(site: SmtpSite) -> None:
    client = await site.user()
    await client.open_mail()
    client.send(MESSAGE)
    await client.writer.drain()
    client.writer.transport.abort()

    await until(lambda: site.server.session_count == 0)
    assert await site.inbox(BOB) == []


async def test_stopping_says_farewell(site: SmtpSite) -> None:
    client, plain = await site.user(), await site.greeted(is_secure=False)
    ending = asyncio.ensure_future(site.server._end_sessions())  # noqa: SLF001 - what unwinding the stack calls

    assert (await client.reply()).code == 421
    assert (await plain.reply()).code == 421
    assert await client.rest() == b""
    await ending
    assert (await (await site.connect()).reply()).code == 421
