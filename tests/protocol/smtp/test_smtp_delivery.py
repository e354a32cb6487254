"""What fits and what does not: sizes, quota, rate; and what is said when mail cannot be stored."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailnode.accounts.policy import Policy
from mailnode.accounts.rate_limit import RateLimit
from mailnode.encryption.gate import check_incoming
from mailnode.federation.delivery import MAX_RECIPIENTS
from mailnode.smtp import failure_report
from mailnode.smtp.delivery_report import write_report
from mailnode.smtp.server import SmtpLimits
from mailnode.store.mail_store import AccountId, Envelope, Recipient
from support.openpgp_messages import ALICE, BOB, armored, encrypted_mail, real_packets
from support.smtp_site import NOW_SECONDS, SmtpSite, running_site
from support.store_memory import MemoryMailStore
from support.store_without_reports import ReportlessStore

CAROL = "carol123@example.org"
MESSAGE = bytes(encrypted_mail())

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SmtpSite]:
    async with running_site(tmp_path) as site:
        yield site


@pytest.mark.parametrize("offset", [-1, 0, 1])
async def test_message_size_is_limited_exactly(tmp_path: Path, offset: int) -> None:
    async with running_site(tmp_path, policy=Policy(message_bytes=len(MESSAGE) + offset)) as site:
        client = await site.user()

        reply = await client.submit(MESSAGE)

        assert reply.code == (552 if offset < 0 else 250), reply
        assert await site.inbox(BOB) == ([] if offset < 0 else [MESSAGE])


async def test_declared_size_over_the_limit_is_refused_at_once(tmp_path: Path) -> None:
    async with running_site(tmp_path, policy=Policy(message_bytes=100_000)) as site:
        client = await site.user()

        reply = await client.ask(f"MAIL FROM:<{ALICE}> SIZE=100001")
        assert (reply.code, reply.status) == (552, "5.3.4")
        assert (await client.ask(f"MAIL FROM:<{ALICE}> SIZE=100000")).code == 250


async def test_message_far_too_large_is_drained_and_the_session_goes_on(tmp_path: Path) -> None:
    async with running_site(tmp_path, policy=Policy(message_bytes=20_000)) as site:
        client = await site.user()
        await client.open_mail()
        client.send(b"x" * 78 + b"\r\n")
        for _ in range(600):
            client.send(b"x" * 78 + b"\r\n")
        client.send(b".\r\n")

        reply = await client.reply()

        assert (reply.code, reply.status) == (552, "5.3.4")
        assert (await client.submit(MESSAGE)).code == 250


async def test_endless_message_ends_the_session(tmp_path: Path) -> None:
    async with running_site(tmp_path, policy=Policy(message_bytes=20_000)) as site:
        client = await site.user()
        await client.open_mail()
        client.send(b"x" * 78 + b"\r\n")
        client.send((b"x" * 78 + b"\r\n") * 5_000)

        assert (await client.rest()).startswith(b"421 4.3.4")


async def test_message_limit_in_force_is_the_one_of_this_moment(site: SmtpSite) -> None:
    client = await site.user()
    site.accounts.policy.current = Policy(message_bytes=100)

    assert "SIZE 100" in (await client.ask("EHLO x")).lines
    assert (await client.submit(MESSAGE)).code == 552


async def test_large_message_arrives_while_others_are_served(site: SmtpSite) -> None:
    message = bytes(encrypted_mail(armored(real_packets(3_000_000))))
    client, other = await site.user(), await site.user(CAROL)
    await client.open_mail()
    client.send(message + b".\r\n")

    assert (await other.ask("NOOP")).code == 250
    assert (await client.reply()).code == 250
    assert await site.inbox(BOB) == [message]


@pytest.mark.parametrize("offset", [-1, 0])
async def test_declared_size_over_the_quota_is_refused_at_rcpt(tmp_path: Path, offset: int) -> None:
    async with running_site(tmp_path, policy=Policy(quota_bytes=len(MESSAGE) + 500)) as site:
        client = await site.user()
        await client.submit(MESSAGE)
        await client.ask(f"MAIL FROM:<{ALICE}> SIZE={500 - offset}")

        reply = await client.ask(f"RCPT TO:<{BOB}>")

        assert (reply.code, reply.status) == ((552, "5.2.2") if offset < 0 else (250, "2.1.5"))


async def test_message_that_nobody_has_room_for_is_refused(tmp_path: Path) -> None:
    async with running_site(tmp_path, policy=Policy(quota_bytes=len(MESSAGE))) as site:
        client = await site.user()

        assert (await client.submit(MESSAGE)).code == 250
        reply = await client.submit(MESSAGE)

        assert (reply.code, reply.status) == (552, "5.2.2")
        assert await site.inbox(ALICE) == []


async def test_sender_hears_who_had_no_room(site: SmtpSite) -> None:
    client = await site.user()
    await site.account(CAROL)
    await site.accounts.change_quota(CAROL, len(MESSAGE) - 1)

    reply = await client.submit(MESSAGE, BOB, CAROL)

    assert reply.code == 250
    assert await site.inbox(BOB) == [MESSAGE]
    assert await site.inbox(CAROL) == []
    (report,) = await site.inbox(ALICE)
    check_incoming(report)
    assert b"From: <mailer-daemon@example.org>\r\n" in report
    assert b"Final-Recipient: rfc822; carol123@example.org\r\n" in report
    assert BOB.encode() not in report
    assert b"Message-ID: <a1b2c3d4-0001@localhost>\r\n" in report


@pytest.mark.parametrize("offset", [-1, 0, 1])
async def test_full_mailbox_takes_so_many_reports(
    site: SmtpSite, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    client = await site.user()
    await site.account(CAROL)
    for address in (ALICE, CAROL):
        await site.accounts.change_quota(address, 1)
    assert (await client.submit(MESSAGE, BOB, CAROL)).code == 250
    (report,) = await site.inbox(ALICE)
    monkeypatch.setattr(failure_report, "REPORT_ROOM_BYTES", 2 * len(report) - 1 + offset)

    with capture_logs() as logged:
        assert (await client.submit(MESSAGE, BOB, CAROL)).code == 250

    assert len(await site.inbox(ALICE)) == (1 if offset < 0 else 2)
    lost = [entry["reason"] for entry in logged if entry["event"] == "delivery report not delivered"]
    assert lost == (["mailbox full"] if offset < 0 else [])


def test_full_mailbox_takes_the_largest_report() -> None:
    longest = "x" * 64 + "@" + "y" * 255
    report = write_report(
        domain="y" * 255,
        sender=longest,
        refused={f"{number:03}{longest[3:]}": "z" * 300 for number in range(MAX_RECIPIENTS)},
        message=b"Subject: " + b"s" * 2_000 + b"\r\n\r\n",
        now_seconds=NOW_SECONDS,
    )
    assert len(report) <= failure_report.REPORT_ROOM_BYTES


async def test_sender_sends_again_what_could_not_be_reported(tmp_path: Path) -> None:
    store = ReportlessStore()
    async with running_site(tmp_path, store=store) as site:
        client = await site.user()
        await site.account(CAROL)
        await site.accounts.change_quota(CAROL, 1)

        assert (await client.submit(MESSAGE, BOB, CAROL)).code == 452
        assert await site.inbox(ALICE) == []
        store.takes_reports = True
        assert (await client.submit(MESSAGE, BOB, CAROL)).code == 250

        assert len(await site.inbox(ALICE)) == 1


async def test_account_removed_meanwhile_is_reported_too(site: SmtpSite) -> None:
    client = await site.user()
    await site.account(CAROL)
    await client.open_mail(BOB, CAROL)
    await site.accounts.remove(CAROL)
    client.send(MESSAGE + b".\r\n")

    assert (await client.reply()).code == 250
    assert len(await site.inbox(ALICE)) == 1


async def test_store_that_cannot_take_mail_is_no_reason_to_give_up(site: SmtpSite) -> None:
    client = await site.user()
    await client.open_mail()
    site.store.is_available = False
    client.send(MESSAGE + b".\r\n")

    reply = await client.reply()
    assert (reply.code, reply.status) == (452, "4.3.1")
    await client.ask(f"MAIL FROM:<{ALICE}>")
    assert (await client.ask(f"RCPT TO:<{BOB}>")).code == 452
    site.store.is_available = True
    await client.ask("RSET")
    assert (await client.submit(MESSAGE)).code == 250


class SlowStore(MemoryMailStore):
    """A store whose deliveries take until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def deliver(
        self,
        recipients: Sequence[Recipient],
        body: bytes,
        now_seconds: int,
        envelopes: Sequence[Envelope] = (),
    ) -> frozenset[AccountId]:
        self.has_begun.set()
        await self.may_go_on.wait()
        return await super().deliver(recipients, body, now_seconds, envelopes)


async def test_message_is_accepted_only_when_it_is_stored(tmp_path: Path) -> None:
    store = SlowStore()
    async with running_site(tmp_path, store=store) as site:
        client = await site.user()
        await client.open_mail()
        client.send(MESSAGE + b".\r\n")
        await store.has_begun.wait()
        reply = asyncio.ensure_future(client.reply())
        assert (await (await site.greeted()).ask("NOOP")).code == 250  # a whole round trip goes by
        assert not reply.done()

        store.may_go_on.set()
        assert (await reply).code == 250


async def test_account_that_is_banned_while_its_message_is_stored_hears_about_that_first(
    tmp_path: Path,
) -> None:
    store = SlowStore()
    async with running_site(tmp_path, store=store) as site:
        client = await site.user()
        await client.open_mail()
        client.send(MESSAGE + b".\r\n")
        await store.has_begun.wait()
        await site.accounts.change_ban(ALICE, is_banned=True)
        store.may_go_on.set()

        assert (await client.reply()).code == 250
        assert (await client.reply()).code == 421
        assert await client.rest() == b""


async def test_delivery_bears_the_time_of_the_node(site: SmtpSite) -> None:
    client = await site.user()
    await client.submit(MESSAGE)

    mailbox = await site.store.find_mailbox((await site.account(BOB)).id, "INBOX")
    assert mailbox is not None
    (message,) = (await site.store.read_contents(mailbox.id)).messages
    assert message.received_at_seconds == NOW_SECONDS


async def test_too_much_mail_is_put_off_for_its_sender_alone(tmp_path: Path) -> None:
    now_ns = [0]
    limits = SmtpLimits(mail_rate=RateLimit(per_minute=60, burst=2))
    async with running_site(tmp_path, limits=limits, monotonic_ns=lambda: now_ns[0]) as site:
        client, other = await site.user(), await site.user(CAROL)
        assert [(await client.submit(MESSAGE)).code for _ in range(2)] == [250, 250]

        reply = await client.ask(f"MAIL FROM:<{ALICE}>")
        assert (reply.code, reply.status) == (450, "4.7.1")
        assert (await other.ask(f"MAIL FROM:<{CAROL}>")).code == 250
        now_ns[0] += 1_000_000_000
        assert (await client.submit(MESSAGE)).code == 250
        assert (await client.ask(f"MAIL FROM:<{ALICE}>")).code == 450
