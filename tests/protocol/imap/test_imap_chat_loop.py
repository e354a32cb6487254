"""What Delta Chat does for each message, and what must never go wrong in it."""

import pytest

from mailnode.store.mail_store import Uid
from support.imap_server import SIMPLE, Client, ImapSite

pytestmark = pytest.mark.anyio

FIELDS = b"MESSAGE-ID DATE X-MICROSOFT-ORIGINAL-MESSAGE-ID CHAT-VERSION"
PREFETCH = b"(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (%s)])" % FIELDS


async def begin_idle(client: Client, tag: bytes = b"i1") -> None:
    client.send(tag + b" IDLE\r\n")
    assert await client.line() == b"+ idling"


async def end_idle(client: Client, tag: bytes = b"i1") -> list[bytes]:
    client.send(b"DONE\r\n")
    return await client.answer(tag)


async def test_message_is_pushed_fetched_deleted_and_gone(site: ImapSite) -> None:
    client = await site.reader()
    for uid in range(1, 4):
        message = b"Message-ID: <%d@example.org>\r\nSubject: secret\r\n\r\nText %d\r\n" % (uid, uid)
        await begin_idle(client)
        await site.deliver(message)
        assert [await client.line(), await client.line()] == [b"* 1 EXISTS", b"* 1 RECENT"]
        assert await end_idle(client) == [b"OK Idle completed"]
        header = b"Message-ID: <%d@example.org>\r\n\r\n" % uid
        assert await client.ok(b"UID FETCH %d:%d %s" % (uid, uid + 499, PREFETCH)) == [
            b"* 1 FETCH (UID %d RFC822.SIZE %d BODY[HEADER.FIELDS (%s)] {%d}\r\n%s)"
            % (uid, len(message), FIELDS, len(header), header)
        ]
        assert await client.ok(b"UID FETCH %d (FLAGS BODY.PEEK[])" % uid) == [
            b"* 1 FETCH (UID %d FLAGS (\\Recent) BODY[] {%d}\r\n%s)" % (uid, len(message), message)
        ]
        assert await client.ok(b"UID STORE %d +FLAGS (\\Deleted)" % uid) == [
            b"* 1 FETCH (UID %d FLAGS (\\Deleted \\Recent))" % uid
        ]
        assert await client.ok(b"CLOSE") == []
        assert await site.uids() == []
        selected = await client.ok(b'SELECT "INBOX"')
        assert b"* 0 EXISTS" in selected
        assert b"* OK [UIDNEXT %d] Next" % (uid + 1) in selected
    assert site.store.body_count == 0


async def test_uids_with_gaps_beyond_257_are_found_by_the_range_that_core_asks_for(site: ImapSite) -> None:
    await site.deliver(*[SIMPLE] * 300)
    inbox = await site.inbox()
    await site.store.expunge(inbox.id, [Uid(uid) for uid in range(1, 300) if uid not in (2, 258)])
    client = await site.reader()

    found = await client.ok(b"UID FETCH 1:500 (UID)")
    assert found == [b"* 1 FETCH (UID 2)", b"* 2 FETCH (UID 258)", b"* 3 FETCH (UID 300)"]
    assert await client.ok(b"UID FETCH 259:758 (UID)") == [b"* 3 FETCH (UID 300)"]
    assert await client.ok(b"UID FETCH 301:800 (UID)") == []
    assert await client.ok(b"UID FETCH 301:* (UID)") == [b"* 3 FETCH (UID 300)"]


async def test_empty_mailbox_keeps_its_high_uidnext(site: ImapSite) -> None:
    await site.deliver(*[SIMPLE] * 300)
    await site.store.expunge((await site.inbox()).id, await site.uids())
    client = await site.user()

    assert b"* OK [UIDNEXT 301] Next" in await client.ok(b"SELECT INBOX")
    assert await client.ok(b"STATUS INBOX (UIDNEXT MESSAGES)") == [
        b'* STATUS "INBOX" (UIDNEXT 301 MESSAGES 0)'
    ]
    assert await client.ok(b"UID FETCH 301:800 (UID)") == []
    await site.deliver(SIMPLE)
    assert await client.ok(b"UID FETCH 301:800 (UID)") == [b"* 1 EXISTS", b"* 1 RECENT"]
    assert await client.ok(b"UID FETCH 301:800 (UID)") == [b"* 1 FETCH (UID 301)"]


async def test_idle_hears_of_a_deletion_and_an_arrival_that_restore_the_count(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    watching = await site.reader()
    other = await site.reader()
    await begin_idle(watching)

    await other.ok(b"UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok(b"CLOSE")
    await site.deliver(SIMPLE)

    pushed = [await watching.line() for _ in range(4)]
    assert pushed == [
        b"* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))",
        b"* 1 EXPUNGE",
        b"* 1 EXISTS",
        b"* 1 RECENT",
    ]
    await end_idle(watching)
    assert await watching.ok(b"UID FETCH 2 (UID)") == [b"* 1 FETCH (UID 2)"]


async def test_what_came_before_idle_is_told_as_idle_begins(site: ImapSite) -> None:
    client = await site.reader()
    await site.deliver(SIMPLE)

    await begin_idle(client)
    assert await client.line() == b"* 1 EXISTS"


async def test_mark_alone_removes_nothing(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    client = await site.reader()
    await client.ok(b"STORE 1 +FLAGS (\\Deleted)")

    await client.ok(b"NOOP")
    await client.ok(b"UNSELECT")
    assert await site.uids() == [1]
    selected = await client.ok(b"EXAMINE INBOX")
    assert b"* 1 EXISTS" in selected
    await client.ok(b"CLOSE")
    assert await site.uids() == [1]


async def test_quota_falls_when_messages_go(site: ImapSite) -> None:
    await site.deliver(b"Subject: x\r\n\r\n" + b"x" * 3_000)
    client = await site.reader()
    total = 1 << 20
    assert (await client.ok(b'GETQUOTAROOT "INBOX"')) == [
        b'* QUOTAROOT "INBOX" "ROOT"',
        b'* QUOTA "ROOT" (STORAGE 3 %d)' % total,
    ]
    await client.ok(b"STORE 1 +FLAGS (\\Deleted)")
    assert await client.ok(b"EXPUNGE") == [b"* 1 EXPUNGE"]
    assert (await client.ok(b"GETQUOTA ROOT")) == [b'* QUOTA "ROOT" (STORAGE 0 %d)' % total]


async def test_message_that_came_and_went_unheard_is_never_told(site: ImapSite) -> None:
    client = await site.reader()
    await site.deliver(SIMPLE)
    await site.store.expunge((await site.inbox()).id, await site.uids())

    assert await client.ok(b"NOOP") == []


async def test_pipelined_commands_are_answered_in_their_order(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    client = await site.user()
    client.send(
        b"p1 SELECT INBOX\r\np2 UID STORE 1 +FLAGS.SILENT (\\Deleted)\r\np3 CLOSE\r\np4 SELECT INBOX\r\n"
        b"p5 IDLE\r\nDONE\r\np6 NOOP\r\n"
    )

    completions = [(await client.answer(b"p%d" % number))[-1] for number in range(1, 7)]
    assert all(completion.startswith(b"OK") for completion in completions)
    assert await site.uids() == []


async def test_only_done_ends_idle(site: ImapSite) -> None:
    client = await site.reader()
    await begin_idle(client)
    client.send(b"i2 NOOP\r\n")

    assert await client.line() == b"i1 BAD Only DONE ends IDLE"
    assert await client.ok(b"NOOP") == []
