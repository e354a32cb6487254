"""What goes on with a dialogue: bytes, futures, and the end of the connection."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest

from mailnode.smtp.connection import AHEAD_BYTES, SmtpConnection
from mailnode.smtp.limits import SmtpLimits
from mailnode.smtp.reader import MessageRoom
from mailnode.smtp.replies import CHUNK_OK, OK, SmtpReply
from mailnode.smtp.submission import Submission
from support.smtp_wire import Wire

pytestmark = pytest.mark.anyio

Talk = Callable[["Talker"], Awaitable[None]]


class Surroundings:
    """A server that takes everybody in."""

    hostname = "mail.example.org"
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    submission: Submission

    def __init__(self, limits: SmtpLimits | None = None) -> None:
        self.limits = limits or SmtpLimits()
        self.room = MessageRoom(1 << 30)
        self.left: list[SmtpConnection] = []

    def admit(self, _connection: SmtpConnection) -> SmtpReply | None:
        return None

    def forget(self, connection: SmtpConnection) -> None:
        self.left.append(connection)


class Talker(SmtpConnection):
    """A connection whose dialogue is what a test says."""

    def __init__(self, talk: Talk, limits: SmtpLimits | None = None) -> None:
        super().__init__(Surroundings(limits), is_secure=True)
        self._talk = talk

    async def run_session(self) -> None:
        await self._talk(self)


class Tap(Wire):
    """What data comes from: on, or off."""

    is_on = True

    def pause_reading(self) -> None:
        assert self.is_on
        self.is_on = False

    def resume_reading(self) -> None:
        assert not self.is_on
        self.is_on = True


def begin(talk: Talk, limits: SmtpLimits | None = None) -> tuple[Talker, Tap]:
    talker, tap = Talker(talk, limits), Tap()
    tap.protocol = talker
    talker.connection_made(tap)
    return talker, tap


async def take_message(talker: Talker) -> None:
    await talker.read_message(1 << 20)
    talker.say(OK)


async def echo(talker: Talker) -> None:
    while True:
        await talker.read_line(100, 10)
        talker.say(OK)


async def test_line_is_answered_within_the_turn_that_brought_it() -> None:
    talker, tap = begin(echo)

    talker.data_received(b"NOOP\r\nNO")
    assert tap.written == OK.line
    talker.data_received(b"OP\r\n")
    assert tap.written == OK.line * 2


@pytest.mark.parametrize("offset", [-1, 0, 1])
async def test_large_message_lets_all_others_have_their_turn(offset: int) -> None:
    talker, tap = begin(take_message)

    talker.data_received(b"x" * (AHEAD_BYTES - len(b"\r\n") + offset))
    assert tap.is_on is (offset <= 0)
    await asyncio.sleep(0)
    assert tap.is_on

    talker.data_received(b"\r\n.\r\n")
    assert tap.written == OK.line


async def test_nothing_is_read_on_from_a_connection_that_ends_meanwhile() -> None:
    talker, tap = begin(take_message)

    talker.data_received(b"x" * AHEAD_BYTES)
    tap.close()
    await asyncio.sleep(0)

    assert not tap.is_on


async def test_nothing_is_read_ahead_while_the_dialogue_is_at_work() -> None:
    work: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def talk(talker: Talker) -> None:
        await work
        await take_message(talker)

    talker, tap = begin(talk)
    talker.data_received(b"x" * (AHEAD_BYTES + 1))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not tap.is_on

    work.set_result(None)
    await asyncio.sleep(0)
    assert tap.is_on


@pytest.mark.parametrize("is_task", [True, False])
async def test_what_is_done_for_a_client_that_has_gone_is_cancelled(is_task: bool) -> None:
    forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ended = asyncio.Event()

    async def wait() -> None:
        await forever

    async def talk(_talker: Talker) -> None:
        try:
            await (asyncio.ensure_future(wait()) if is_task else forever)
        finally:
            ended.set()

    talker, tap = begin(talk)
    await asyncio.sleep(0)
    tap.close()
    async with asyncio.timeout(10):
        await ended.wait()

    assert forever.cancelled()
    assert talker.surroundings.left == [talker]  # type: ignore[attr-defined]  # those of this test


async def test_client_that_is_slow_gets_a_deadline_for_the_whole_message() -> None:
    talker, tap = begin(take_message, SmtpLimits(data_seconds=0.2, login_seconds=30))

    async with asyncio.timeout(10):
        while not tap.is_closing():
            talker.data_received(b"x")
            await asyncio.sleep(0.01)

    assert tap.written.startswith(b"421 4.4.2 ")


async def test_deadline_that_was_put_off_is_kept() -> None:
    async def talk(talker: Talker) -> None:
        await talker.read_line(100, 0.1)
        talker.say(CHUNK_OK)
        await talker.read_line(100, 0.3)

    talker, tap = begin(talk)
    talker.data_received(b"NOOP\r\n")
    begun = asyncio.get_running_loop().time()
    async with asyncio.timeout(10):
        await tap.closed.wait()

    assert asyncio.get_running_loop().time() - begun >= 0.29
    assert tap.written.startswith(CHUNK_OK.line + b"421 4.4.2 ")
