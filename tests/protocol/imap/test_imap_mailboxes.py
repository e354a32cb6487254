"""Commands on mailboxes, as dialogues."""

import pytest

from support.imap_server import NOW_SECONDS, SIMPLE, ImapSite

pytestmark = pytest.mark.anyio


async def test_selecting_tells_all_that_a_client_must_know(site: ImapSite) -> None:
    await site.deliver(SIMPLE, SIMPLE)
    client = await site.user()
    inbox = await site.inbox()

    *lines, completion = await client.ask(b"SELECT inbox")
    assert completion == b"OK [READ-WRITE] Selected"
    assert lines == [
        b"* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen)",
        b"* OK [PERMANENTFLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen \\*)] Kept",
        b"* 2 EXISTS",
        b"* 2 RECENT",
        b"* OK [UNSEEN 1] First unseen",
        b"* OK [UIDVALIDITY %d] Valid" % inbox.uid_validity,
        b"* OK [UIDNEXT 3] Next",
    ]


async def test_examining_changes_nothing(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    client = await site.user()

    *lines, completion = await client.ask(b"EXAMINE INBOX")
    assert completion.startswith(b"OK [READ-ONLY]")
    assert b"* OK [PERMANENTFLAGS ()] Kept" in lines
    await client.ok(b"FETCH 1 BODY[]")
    assert await client.ok(b"FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Recent))"]
    for command in (b"STORE 1 +FLAGS (\\Seen)", b"EXPUNGE", b"MOVE 1 INBOX"):
        assert (await client.refused(command)).startswith(b"NO")


async def test_message_is_recent_in_one_session_only(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    client = await site.user()

    assert b"* 1 RECENT" in await client.ok(b"EXAMINE INBOX")
    assert await client.ok(b"STATUS INBOX (RECENT)") == [b'* STATUS "INBOX" (RECENT 1)']
    assert b"* 1 RECENT" in await client.ok(b"SELECT INBOX")
    assert b"* 0 RECENT" in await client.ok(b"SELECT INBOX")
    assert await client.ok(b"STATUS INBOX (RECENT)") == [b'* STATUS "INBOX" (RECENT 0)']
    await site.deliver(SIMPLE)
    assert await client.ok(b"NOOP") == [b"* 2 EXISTS", b"* 1 RECENT"]
    other = await site.user()
    assert b"* 0 RECENT" in await other.ok(b"SELECT INBOX")


async def test_older_clients_may_ask_for_condstore(site: ImapSite) -> None:
    client = await site.user()

    assert b"* OK [NOMODSEQ] No modification sequences here" in await client.ok(b"SELECT INBOX (CONDSTORE)")


async def test_failed_select_leaves_the_mailbox(site: ImapSite) -> None:
    client = await site.reader()

    assert (await client.refused(b"SELECT nowhere")).startswith(b"NO [NONEXISTENT]")
    assert (await client.refused(b"FETCH 1 FLAGS")).startswith(b"BAD")


async def test_mailboxes_are_created_with_those_above_and_listed(site: ImapSite) -> None:
    client = await site.user()
    await client.ok(b"CREATE a/b/c/")
    await client.ok(b'CREATE "with space"')

    assert await client.ok(b'LIST "" *') == [
        b'* LIST (\\HasNoChildren) "/" "INBOX"',
        b'* LIST (\\HasChildren) "/" "a"',
        b'* LIST (\\HasChildren) "/" "a/b"',
        b'* LIST (\\HasNoChildren) "/" "a/b/c"',
        b'* LIST (\\HasNoChildren) "/" "with space"',
    ]
    assert await client.ok(b'LIST "" ""') == [b'* LIST (\\Noselect) "/" ""']
    assert await client.ok(b'LIST "a/" %') == [b'* LIST (\\HasChildren) "/" "a/b"']
    assert await client.ok(b'LIST "" inbo%') == [b'* LIST (\\HasNoChildren) "/" "INBOX"']
    assert await client.ok(b'LIST "" nothing*') == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (b"INBOX", b"NO [ALREADYEXISTS]"),
        (b"/a", b"NO [CANNOT]"),
        (b"a//b", b"NO [CANNOT]"),
        (b'"a*"', b"NO [CANNOT]"),
        (b'"a%"', b"NO [CANNOT]"),
        (b"inbox/a", b"NO [CANNOT]"),
        (b"x" * 256, b"NO [LIMIT]"),
        (b"/".join([b"x"] * 17), b"NO [LIMIT]"),
        (b"&AAA-", b"NO [CANNOT]"),
        (b"&!!-", b"BAD"),
        (b"&AGE-", b"BAD"),
        (b'""', b"NO [CANNOT]"),
    ],
)
async def test_name_that_no_mailbox_should_have_is_refused(site: ImapSite, name: bytes, code: bytes) -> None:
    client = await site.user()

    assert (await client.refused(b"CREATE " + name)).startswith(code)


async def test_longest_name_and_unicode_are_accepted(site: ImapSite) -> None:
    client = await site.user()
    await client.ok(b"CREATE " + b"x" * 255)
    await client.ok(b"CREATE &BB8EQAQ4BDIENQRC- ")

    assert b'* LIST (\\HasNoChildren) "/" "&BB8EQAQ4BDIENQRC-"' in await client.ok(b'LIST "" "&*"')
    assert await site.store.find_mailbox((await site.account()).id, "Привет") is not None


async def test_deleted_mailbox_keeps_its_name_while_others_are_below(site: ImapSite) -> None:
    client = await site.user()
    await client.ok(b"CREATE a/b")
    await client.ok(b"DELETE a")

    assert b'* LIST (\\Noselect \\HasChildren) "/" "a"' in await client.ok(b'LIST "" %')
    assert (await client.refused(b"SELECT a")).startswith(b"NO [NONEXISTENT]")
    assert (await client.refused(b"DELETE a")).startswith(b"NO [NONEXISTENT]")
    await client.ok(b"DELETE a/b")
    assert await client.ok(b'LIST "" *') == [b'* LIST (\\HasNoChildren) "/" "INBOX"']
    assert (await client.refused(b"DELETE inbox")).startswith(b"NO [CANNOT]")


async def test_session_that_deletes_its_mailbox_goes_on_and_others_in_it_end(site: ImapSite) -> None:
    client, other = await site.user(), await site.user()
    await client.ok(b"CREATE a")
    await client.ok(b"SELECT a")
    await other.ok(b"SELECT a")
    await client.ok(b"DELETE a")

    assert (await client.refused(b"CHECK")).startswith(b"BAD")
    assert (await other.line()).startswith(b"* BYE")


async def test_renaming_takes_what_is_below_along(site: ImapSite) -> None:
    client = await site.user()
    await client.ok(b"CREATE a/b/c")
    await client.ok(b"CREATE d")
    await client.ok(b"APPEND a/b {%d+}\r\n%s" % (len(SIMPLE), SIMPLE))
    await client.ok(b"RENAME a/b x/y")

    names = [line.split(b'"')[-2] for line in await client.ok(b'LIST "" *')]
    assert names == [b"INBOX", b"a", b"d", b"x", b"x/y", b"x/y/c"]
    assert b"* 1 EXISTS" in await client.ok(b"SELECT x/y")
    assert (await client.refused(b"RENAME x d")).startswith(b"NO [ALREADYEXISTS]")
    assert (await client.refused(b"RENAME x x/z")).startswith(b"NO [CANNOT]")
    assert (await client.refused(b"RENAME nowhere z")).startswith(b"NO [NONEXISTENT]")
    assert (await client.refused(b"RENAME d inbox")).startswith(b"NO [ALREADYEXISTS]")


async def test_renaming_inbox_moves_its_messages_and_keeps_it(site: ImapSite) -> None:
    await site.deliver(SIMPLE, SIMPLE)
    client = await site.reader()

    assert await client.ok(b"RENAME INBOX old") == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]
    assert await client.ok(b"STATUS old (MESSAGES)") == [b'* STATUS "old" (MESSAGES 2)']
    assert await client.ok(b"STATUS INBOX (MESSAGES UIDNEXT)") == [b'* STATUS "INBOX" (MESSAGES 0 UIDNEXT 3)']


async def test_subscriptions_outlive_their_mailboxes(site: ImapSite) -> None:
    client = await site.user()
    await client.ok(b"CREATE a")
    await client.ok(b"SUBSCRIBE a")
    await client.ok(b"SUBSCRIBE b/c")
    await client.ok(b"DELETE a")

    assert await client.ok(b'LSUB "" *') == [
        b'* LSUB (\\HasNoChildren) "/" "a"',
        b'* LSUB (\\HasNoChildren) "/" "b/c"',
    ]
    await client.ok(b"UNSUBSCRIBE a")
    assert await client.ok(b'LSUB "" %') == [b'* LSUB (\\Noselect \\HasChildren) "/" "b"']


async def test_status_counts_without_selecting(site: ImapSite) -> None:
    client = await site.user()
    await client.ok(b"CREATE a")
    for flags in (b"(\\Seen)", b"()"):
        await client.ok(b"APPEND a %s {%d+}\r\n%s" % (flags, len(SIMPLE), SIMPLE))
    mailbox = await site.store.find_mailbox((await site.account()).id, "a")
    assert mailbox is not None

    assert await client.ok(b"STATUS a (messages UNSEEN UIDNEXT UIDVALIDITY RECENT)") == [
        b'* STATUS "a" (MESSAGES 2 UNSEEN 1 UIDNEXT 3 UIDVALIDITY %d RECENT 2)' % mailbox.uid_validity
    ]
    assert (await client.refused(b"STATUS a (SIZE)")).startswith(b"BAD")
    assert (await client.refused(b"STATUS nowhere (MESSAGES)")).startswith(b"NO [NONEXISTENT]")


async def test_appended_message_is_there_with_flags_and_date(site: ImapSite) -> None:
    client = await site.reader()
    inbox = await site.inbox()
    date = b'"17-Jul-1996 02:44:25 -0700"'
    *lines, completion = await client.ask(
        b"APPEND INBOX (\\Seen $Label) %s {%d+}\r\n%s" % (date, len(SIMPLE), SIMPLE)
    )

    assert completion == b"OK [APPENDUID %d 1] Appended" % inbox.uid_validity
    assert lines == [b"* 1 EXISTS", b"* 1 RECENT"]
    assert await client.ok(b"FETCH 1 (FLAGS INTERNALDATE)") == [
        b'* 1 FETCH (FLAGS ($Label \\Seen \\Recent) INTERNALDATE "17-Jul-1996 09:44:25 +0000")'
    ]
    await client.ok(b"APPEND INBOX {%d+}\r\n%s" % (len(SIMPLE), SIMPLE))
    contents = await site.store.read_contents(inbox.id)
    assert contents.messages[1].received_at_seconds == NOW_SECONDS


@pytest.mark.parametrize(
    ("command", "completion"),
    [
        (b"APPEND nowhere {1+}\r\nx", b"NO [TRYCREATE]"),
        (b"APPEND INBOX {14+}\r\nin plain sight", b"NO [CANNOT] Encryption Needed: Invalid Unencrypted Mail"),
        (b"APPEND INBOX {0+}\r\n", b"NO [CANNOT]"),
        (b"APPEND INBOX {3+}\r\na\0b", b"BAD"),
        (b"APPEND INBOX (\\Recent) {1+}\r\nx", b"BAD"),
        (b"APPEND INBOX (\\Nonsense) {1+}\r\nx", b"BAD"),
        (b'APPEND INBOX "31-Feb-2020 00:00:00 +0000" {1+}\r\nx', b"BAD"),
        (b'APPEND INBOX "text"', b"BAD"),
    ],
)
async def test_message_that_cannot_be_appended_is_refused(
    site: ImapSite, command: bytes, completion: bytes
) -> None:
    client = await site.user()

    assert (await client.refused(command)).startswith(completion)
    assert await site.uids() == []


async def test_large_message_passes_the_gate_in_a_thread(site: ImapSite) -> None:
    client = await site.user()
    refused = b"x" * (1 << 20) + b" in plain sight"
    assert (await client.refused(b"APPEND INBOX {%d+}\r\n%s" % (len(refused), refused))).startswith(
        b"NO [CANNOT]"
    )
    allowed = b"Subject: x\r\n\r\n" + b"x" * (1 << 20)
    await client.ok(b"APPEND INBOX {%d+}\r\n%s" % (len(allowed), allowed))

    await client.ok(b"SELECT INBOX")
    (line,) = await client.ok(b"FETCH 1 BODY.PEEK[]")
    assert line.endswith(allowed + b")")
    (line,) = await client.ok(b"FETCH 1 BODY")
    assert b'("text" "plain"' in line
