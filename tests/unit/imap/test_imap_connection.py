"""One connection by a clock of the test's own: deadlines, and who waits for whom."""

import asyncio
from itertools import pairwise

import pytest

from mailnode.imap.connection import MAX_AHEAD_BYTES, ImapConnection
from mailnode.imap.limits import SessionLimits
from mailnode.imap.session import FLUSH_BYTES
from mailnode.imap.strings import PIECE_BYTES
from mailnode.store.mail_store import Recipient
from support.imap_server import ALICE, PASSWORD, SIMPLE
from support.imap_transport import Line, running_server

pytestmark = pytest.mark.anyio

LIMITS = SessionLimits(login_seconds=60, inactivity_seconds=1800, keepalive_seconds=120, farewell_seconds=5)


def connection_of(line: Line) -> ImapConnection:
    assert isinstance(line.protocol, ImapConnection)
    return line.protocol


def is_paused(line: Line) -> bool:
    return line.transport.is_paused


def is_aborted(line: Line) -> bool:
    return line.transport.is_aborted


async def test_connection_without_login_has_until_its_deadline() -> None:
    async with running_server(LIMITS) as (server, _):
        line = Line(server)
        began_at = asyncio.get_running_loop().time()
        connection = connection_of(line)

        assert connection.visit(began_at + 59) == pytest.approx(began_at + 60, abs=0.1)
        await line.say(b"a NOOP\r\n", b"a OK")
        assert not line.transport.is_closed
        assert connection.visit(began_at + 60.1) == pytest.approx(began_at + 65.1, abs=0.1)
        assert line.transport.written.startswith(b"* BYE")
        ended_at = asyncio.get_running_loop().time()
        connection.visit(ended_at + 4)
        assert not is_aborted(line)
        connection.visit(ended_at + 6)
        assert is_aborted(line)
        line.hang_up()


@pytest.mark.parametrize(("late_seconds", "is_closed"), [(1799, False), (1801, True)])
async def test_silent_user_has_half_an_hour(late_seconds: float, *, is_closed: bool) -> None:
    async with running_server(LIMITS) as (server, _):
        line = Line(server)
        await line.log_in()
        now = asyncio.get_running_loop().time()
        due = connection_of(line).visit(now + late_seconds)

        assert line.transport.is_closed is is_closed
        assert due <= now + late_seconds + LIMITS.keepalive_seconds
        line.hang_up()


async def test_idle_is_kept_alive_exactly_and_for_ever() -> None:
    async with running_server(LIMITS) as (server, _):
        line = Line(server)
        await line.log_in()
        await line.say(b"i IDLE\r\n", b"+ idling")
        now = asyncio.get_running_loop().time()
        connection = connection_of(line)

        assert connection.visit(now + 100) == pytest.approx(now + 120, abs=0.5)
        assert line.transport.written == b""
        connection.visit(now + 121)
        assert line.transport.written == b"* OK Still here\r\n"
        connection.visit(now + 10_000)
        assert not line.transport.is_closed
        line.hang_up()


async def test_idle_client_that_takes_nothing_is_cut_off_without_a_word() -> None:
    async with running_server(LIMITS) as (server, _):
        line = Line(server)
        await line.log_in()
        await line.say(b"i IDLE\r\n", b"+ idling")
        line.transport.unsent_bytes = 1
        now = asyncio.get_running_loop().time()
        connection_of(line).visit(now + 121)
        assert (line.transport.written, line.transport.is_aborted) == (b"", False)
        connection_of(line).visit(now + 1801)

        assert is_aborted(line)
        line.hang_up()


async def test_reading_pauses_while_the_client_does_not_read_but_sends() -> None:
    async with running_server(LIMITS) as (server, _):
        line = Line(server)
        await line.log_in()
        connection = connection_of(line)
        connection.pause_writing()
        commands = b"n NOOP\r\n" * (MAX_AHEAD_BYTES // 8)
        connection.data_received(commands)
        assert not is_paused(line)
        connection.data_received(b"l NOOP\r\n")
        assert is_paused(line)
        assert b"n OK" not in line.transport.written

        connection.resume_writing()
        await line.say(b"", b"l OK")
        assert not is_paused(line)
        line.hang_up()


async def test_congested_idle_hears_everything_when_it_reads_again() -> None:
    async with running_server(LIMITS) as (server, store):
        line = Line(server)
        await line.log_in()
        await line.say(b"s SELECT INBOX\r\ni IDLE\r\n", b"+ idling")
        account = await store.find_account(ALICE)
        assert account is not None
        connection_of(line).pause_writing()
        for _ in range(3):
            await store.deliver([Recipient(account.id, 1 << 20)], SIMPLE, 0)
        assert line.transport.written == b""
        connection_of(line).resume_writing()

        assert line.transport.written == b"* 3 EXISTS\r\n* 3 RECENT\r\n"
        line.hang_up()


async def test_session_that_is_ended_while_a_command_waits_says_nothing_after_bye() -> None:
    async with running_server(LIMITS) as (server, _):
        line = Line(server)
        await line.log_in()
        await line.say(b"s SELECT INBOX\r\n", b"s OK")
        connection = connection_of(line)
        connection.data_received(b"a APPEND INBOX {%d+}\r\n%s\r\n" % (len(SIMPLE), SIMPLE))
        connection.end("The test ends it")
        for _ in range(20):
            await asyncio.sleep(0)

        assert line.transport.written == b"* BYE The test ends it\r\n"
        line.hang_up()
        line.hang_up()
        assert server.session_count == 0


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_command_that_outlives_its_connection_takes_hold_of_nothing(*, hangs_up: bool) -> None:
    async with running_server(LIMITS) as (server, store):
        for command in (b"s SELECT INBOX\r\n", f'l LOGIN {ALICE} "{PASSWORD}"\r\n'.encode()):
            line = Line(server)
            if command.startswith(b"s"):
                await line.log_in()
            line.protocol.data_received(command)
            if hangs_up:
                line.hang_up()
            else:
                connection_of(line).end("The test ends it")
            await asyncio.sleep(0.05)
            line.hang_up()

        assert server.context.accounts.count_sessions() == 0
        assert store.watcher_count == 0


async def test_others_have_turns_while_a_fast_client_fetches_a_large_message() -> None:
    large = SIMPLE + b"x" * (16 * FLUSH_BYTES)
    async with running_server(LIMITS) as (server, store):
        line = Line(server)
        await line.log_in()
        account = await store.find_account(ALICE)
        assert account is not None
        await store.deliver([Recipient(account.id, 1 << 30)], large, 0)
        await line.say(b"sel SELECT INBOX\r\n", b"sel OK")
        sizes: list[int] = []

        async def look_on() -> None:
            while b"f OK" not in line.transport.written:
                sizes.append(len(line.transport.written))
                await asyncio.sleep(0)

        looking = asyncio.ensure_future(look_on())
        await asyncio.sleep(0)
        line.protocol.data_received(b"f FETCH 1 (BODY.PEEK[])\r\n")
        async with asyncio.timeout(10):
            await looking
        line.hang_up()

    steps = [after - before for before, after in pairwise(sizes) if after > before]
    assert sum(steps) > 8 * FLUSH_BYTES
    assert max(steps) <= PIECE_BYTES + FLUSH_BYTES
