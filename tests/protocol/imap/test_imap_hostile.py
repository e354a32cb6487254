"""What a hostile user may take of memory and of everybody's time."""

import asyncio
import time
import tracemalloc
from itertools import pairwise

import pytest

from mailnode.accounts.policy import Policy
from mailnode.imap.fetch_parser import MAX_FIELDS_BYTES
from mailnode.imap.server import SessionLimits
from mailnode.imap.strings import PIECE_BYTES
from mailnode.store.mail_store import Recipient
from support.clocks import until
from support.imap_server import ALICE, PASSWORD, SIMPLE, ImapSite, running_site
from support.imap_transport import Line, RecordingTransport, running_server

pytestmark = pytest.mark.anyio

STALL_SECONDS = 0.25
BOB = "bobby1234@example.org"


class NarrowTransport(RecordingTransport):
    """A client that reads only when the test says so."""

    protocol: asyncio.Protocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        if self.protocol is not None and len(self.written) > PIECE_BYTES:
            self.protocol.pause_writing()


async def longest_stall(work: asyncio.Task[object]) -> float:
    """Tell for how long nobody else had a turn while `work` went on."""
    ticks = [time.monotonic()]
    while not work.done():
        await asyncio.sleep(0)
        ticks.append(time.monotonic())
    return max(after - before for before, after in pairwise(ticks))


async def test_command_of_many_literals_ends_the_session_before_it_takes_time(site: ImapSite) -> None:
    client = await site.user()
    client.send(b"a NOOP" + b"{0+}\r\n" * 16_000)

    stall = await longest_stall(asyncio.ensure_future(client.line()))
    assert stall < STALL_SECONDS


@pytest.mark.parametrize("criterion", [b"HEADER x y", b"TEXT y", b"SENTON 1-Jan-2020"])
async def test_search_for_many_texts_in_a_large_header_stalls_nobody(
    site: ImapSite, criterion: bytes
) -> None:
    await site.deliver(b"x: " + b"z" * 70 + b"\r\n" + b"x: z\r\n" * 30_000 + b"\r\nText")
    client = await site.reader()

    search = asyncio.ensure_future(client.ok(b"SEARCH " + b" ".join([b"NOT " + criterion] * 100)))
    assert await longest_stall(search) < STALL_SECONDS
    assert await search == [b"* SEARCH 1"]


async def test_sets_that_mean_the_whole_mailbox_take_no_more_memory_than_their_text(site: ImapSite) -> None:
    await site.deliver(*[SIMPLE] * 2000)
    client = await site.reader()
    sets = b" ".join(b"1:%d" % last for last in range(2001, 2200))

    tracemalloc.start()
    assert await client.ok(b"SEARCH UID 5:6 " + sets) == [b"* SEARCH 5 6"]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1 << 20


async def test_message_that_is_asked_for_often_is_held_once_for_a_client_that_does_not_read() -> None:
    size_bytes = 4 * PIECE_BYTES
    async with running_server() as (server, store):
        line = Line(server)
        await line.log_in()
        account = await store.find_account(ALICE)
        assert account is not None
        message = b"Subject: x\r\n\r\n" + b"x" * size_bytes
        await store.deliver([Recipient(account.id, 1 << 30)], message, 0)
        await line.say(b"s SELECT INBOX\r\n", b"s OK")
        narrow = NarrowTransport()
        narrow.protocol = line.protocol
        line.protocol._transport = narrow  # type: ignore[attr-defined] # noqa: SLF001 - the client reads no more from now on
        line.protocol.data_received(b"f FETCH 1 (" + b" ".join([b"BODY.PEEK[]"] * 60) + b")\r\n")
        await until(lambda: len(narrow.written) > PIECE_BYTES)
        await asyncio.sleep(0.05)

        assert len(narrow.written) < 3 * PIECE_BYTES
        line.hang_up()


@pytest.mark.parametrize("size_bytes", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7])
async def test_long_message_comes_whole_in_its_pieces(imap_certificate: object, size_bytes: int) -> None:
    async with running_site(imap_certificate, policy=Policy(message_bytes=1 << 22)) as site:  # type: ignore[arg-type] # a fixture's path
        head = b"Subject: x\r\n\r\n"
        body = head + bytes(n % 251 for n in range(size_bytes - len(head)))
        await site.deliver(body)
        client = await site.reader()

        (line,) = await client.ok(b"FETCH 1 (UID BODY.PEEK[] RFC822.SIZE)")
        text = body.replace(b"\0", b"\x80")
        assert line == b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%s RFC822.SIZE %d)" % (size_bytes, text, size_bytes)


@pytest.mark.parametrize(("longer", "is_taken"), [(-1, True), (0, True), (1, False)])
async def test_names_of_fields_to_fetch_are_bounded(site: ImapSite, longer: int, *, is_taken: bool) -> None:
    await site.deliver(SIMPLE)
    client = await site.reader()
    names = b"x" * (MAX_FIELDS_BYTES - 7 + longer) + b" SUBJECT"

    completion = (await client.ask(b"FETCH 1 BODY.PEEK[HEADER.FIELDS (%s)]" % names))[-1]
    assert completion.startswith(b"OK" if is_taken else b"BAD There are too many fields")


async def test_account_has_only_so_many_sessions(imap_certificate: object) -> None:
    limits = SessionLimits(sessions_per_account=2)
    async with running_site(imap_certificate, limits=limits) as site:  # type: ignore[arg-type] # a fixture's path
        first, second, third = await site.user(), await site.user(), await site.connect()
        login = f'LOGIN {ALICE} "{PASSWORD}"'.encode()

        refusal = await third.refused(login)
        assert refusal == b"NO [LIMIT] There are too many sessions of this account"
        await site.user(BOB)
        await first.ok(b"LOGOUT")
        await until(lambda: site.server.session_count == 3)
        await third.ok(login)
        await second.ok(b"NOOP")


async def test_select_lists_only_so_many_keywords(site: ImapSite) -> None:
    client = await site.user()
    for first in range(0, 270, 30):
        flags = b" ".join(b"k%03d" % number for number in range(first, first + 30))
        await client.ok(b"APPEND INBOX (%s) {%d+}\r\n%s" % (flags, len(SIMPLE), SIMPLE))

    lines = await client.ok(b"SELECT INBOX")
    (flags_line,) = [line for line in lines if line.startswith(b"* FLAGS")]
    assert flags_line.count(b" k") == 256
    assert flags_line.count(b"\\") == 5
