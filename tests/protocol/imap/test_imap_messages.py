"""Commands on messages, as dialogues."""

import pytest

from mailnode.imap.flags import MAX_FLAGS
from mailnode.store.mail_store import FlagMode, Uid
from support.imap_server import SIMPLE, ImapSite

pytestmark = pytest.mark.anyio

NESTED = (
    b"From: =?utf-8?q?B=C3=B6b?= <bob@example.org>\r\n"
    b"To: alice@example.org, team: carol@example.org, dan@example.org;\r\n"
    b'Subject: A "quoted" subject\r\n'
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
    b"Message-ID: <1@example.org>\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="outer"\r\n'
    b"\r\n"
    b"preamble\r\n"
    b"--outer\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"\r\n"
    b"first\r\n"
    b"\r\n--outer\r\n"
    b"Content-Type: message/rfc822\r\n"
    b"Content-Disposition: attachment; filename=inner.eml\r\n"
    b"\r\n"
    b"Subject: inner\r\n"
    b"Content-Type: multipart/alternative; boundary=inner\r\n"
    b"\r\n"
    b"--inner\r\n"
    b"\r\n"
    b"plain\r\n"
    b"--inner\r\n"
    b"Content-Type: text/html\r\n"
    b"\r\n"
    b"<p>html</p>\r\n"
    b"--inner--\r\n"
    b"\r\n--outer--\r\n"
)


async def fetch_one(site: ImapSite, item: bytes) -> bytes:
    client = await site.reader()
    (line,) = await client.ok(b"FETCH 1 " + item)
    return line.removeprefix(b"* 1 FETCH (").removesuffix(b")")


@pytest.mark.parametrize(
    ("section", "text"),
    [
        (b"", NESTED),
        (b"HEADER", NESTED.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
        (b"TEXT", NESTED.partition(b"\r\n\r\n")[2]),
        (b"HEADER.FIELDS (DATE X-NONE)", b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\n"),
        (
            b"HEADER.FIELDS.NOT (DATE FROM TO SUBJECT MESSAGE-ID CONTENT-TYPE)",
            b"MIME-Version: 1.0\r\n\r\n",
        ),
        (b"1", b"first\r\n"),
        (b"1.MIME", b"Content-Type: text/plain; charset=utf-8\r\n\r\n"),
        (b"2.HEADER", b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n"),
        (b"2.HEADER.FIELDS (SUBJECT)", b"Subject: inner\r\n\r\n"),
        (b"2.HEADER.FIELDS.NOT (CONTENT-TYPE)", b"Subject: inner\r\n\r\n"),
        (
            b"2.TEXT",
            b"--inner\r\n\r\nplain\r\n--inner\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--inner--\r\n",
        ),
        (b"2.1", b"plain"),
        (b"2.1.MIME", b"\r\n"),
        (b"2.2", b"<p>html</p>"),
    ],
)
async def test_section_is_cut_out_exactly(site: ImapSite, section: bytes, text: bytes) -> None:
    await site.deliver(NESTED)

    expected = b"BODY[%s] {%d}\r\n%s" % (section, len(text), text)
    assert await fetch_one(site, b"BODY.PEEK[%s]" % section) == expected


@pytest.mark.parametrize("section", [b"3", b"1.1", b"1.HEADER", b"2.3", b"2.1.1", b"1.TEXT", b"2.1.2.3.4"])
async def test_section_that_is_not_there_is_nil(site: ImapSite, section: bytes) -> None:
    await site.deliver(NESTED)

    assert await fetch_one(site, b"BODY.PEEK[%s]" % section) == b"BODY[%s] NIL" % section


@pytest.mark.parametrize(
    ("partial", "text"), [(b"0.4", b"From"), (b"2.3", b"om:"), (b"100000.5", b""), (b"0.4294967295", NESTED)]
)
async def test_range_of_octets_is_cut(site: ImapSite, partial: bytes, text: bytes) -> None:
    await site.deliver(NESTED)

    start = partial.partition(b".")[0]
    expected = b"BODY[]<%s> {%d}\r\n%s" % (start, len(text), text)
    assert await fetch_one(site, b"BODY.PEEK[]<%s>" % partial) == expected


async def test_envelope_has_every_address(site: ImapSite) -> None:
    await site.deliver(NESTED)
    bob = b'(("=?utf-8?q?B=C3=B6b?=" NIL "bob" "example.org"))'

    assert await fetch_one(site, b"ENVELOPE") == (
        b'ENVELOPE ("Mon, 7 Feb 1994 21:52:25 -0800" "A \\"quoted\\" subject" %s %s %s '
        b'((NIL NIL "alice" "example.org")(NIL NIL "team" NIL)(NIL NIL "carol" "example.org")'
        b'(NIL NIL "dan" "example.org")(NIL NIL NIL NIL)) NIL NIL NIL "<1@example.org>")' % (bob, bob, bob)
    )


async def test_structure_tells_every_part(site: ImapSite) -> None:
    await site.deliver(NESTED)
    inner = NESTED[NESTED.index(b"Subject: inner") : NESTED.index(b"\r\n--outer--")]

    assert await fetch_one(site, b"BODYSTRUCTURE") == (
        b'BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 7 1 NIL NIL NIL NIL)'
        b'("message" "rfc822" NIL NIL NIL "7bit" %d '
        b'(NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL)'
        b'("text" "html" NIL NIL NIL "7bit" 11 0 NIL NIL NIL NIL) '
        b'"alternative" ("boundary" "inner") NIL NIL NIL) %d NIL '
        b'("attachment" ("filename" "inner.eml")) NIL NIL) '
        b'"mixed" ("boundary" "outer") NIL NIL NIL)' % (len(inner), inner.count(b"\n"))
    )
    assert b'"alternative")' in await fetch_one(site, b"BODY")


@pytest.mark.parametrize(
    ("macro", "items"),
    [
        (b"FAST", [b"FLAGS (", b"INTERNALDATE ", b"RFC822.SIZE "]),
        (b"all", [b"FLAGS (", b"INTERNALDATE ", b"RFC822.SIZE ", b"ENVELOPE ("]),
        (b"FULL", [b"FLAGS (", b"INTERNALDATE ", b"RFC822.SIZE ", b"ENVELOPE (", b"BODY ("]),
    ],
)
async def test_macro_stands_for_its_items(site: ImapSite, macro: bytes, items: list[bytes]) -> None:
    await site.deliver(NESTED)
    line = await fetch_one(site, macro)

    places = [line.index(item) for item in items]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("item", "sets_seen"),
    [
        (b"BODY[]", True),
        (b"RFC822", True),
        (b"RFC822.TEXT", True),
        (b"BODY[HEADER]", True),
        (b"RFC822.HEADER", False),
        (b"BODY.PEEK[]", False),
        (b"BODY", False),
        (b"RFC822.SIZE", False),
    ],
)
async def test_reading_a_text_sets_seen_unless_one_only_peeks(
    site: ImapSite, item: bytes, sets_seen: bool
) -> None:
    await site.deliver(SIMPLE)
    line = await fetch_one(site, item)

    assert line.endswith(b" FLAGS (\\Seen \\Recent)") is sets_seen
    contents = await site.store.read_contents((await site.inbox()).id)
    assert ("\\Seen" in contents.messages[0].flags) is sets_seen


async def test_rfc822_items_are_named_as_they_were_asked_for(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    header, _, text = SIMPLE.partition(b"\r\n\r\n")
    header += b"\r\n\r\n"

    line = await fetch_one(site, b"(RFC822.HEADER RFC822.TEXT RFC822)")
    assert line.startswith(
        b"RFC822.HEADER {%d}\r\n%s RFC822.TEXT {%d}\r\n%s RFC822 {%d}\r\n%s"
        % (len(header), header, len(text), text, len(SIMPLE), SIMPLE)
    )


async def test_message_numbers_that_are_not_in_use_are_bad(site: ImapSite) -> None:
    client = await site.reader()
    assert (await client.refused(b"FETCH 1:* FLAGS")).startswith(b"BAD")
    await site.deliver(SIMPLE)
    await client.ok(b"NOOP")

    assert len(await client.ok(b"FETCH 1:* FLAGS")) == 1
    assert (await client.refused(b"FETCH 2 FLAGS")).startswith(b"BAD")
    assert (await client.refused(b"FETCH 0 FLAGS")).startswith(b"BAD")
    assert await client.ok(b"UID FETCH 2:4294967295 FLAGS") == []


async def test_flags_are_replaced_added_and_removed(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    client = await site.reader()

    assert await client.ok(b"STORE 1 FLAGS (\\seen $Work)") == [b"* 1 FETCH (FLAGS ($Work \\Seen \\Recent))"]
    assert await client.ok(b"STORE 1 +FLAGS \\Flagged $work") == [
        b"* 1 FETCH (FLAGS ($Work \\Flagged \\Seen \\Recent))"
    ]
    assert await client.ok(b"UID STORE 1 -FLAGS.SILENT ($WORK \\Seen)") == []
    assert await client.ok(b"FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Flagged \\Recent))"]
    assert await client.ok(b"STORE 1 FLAGS ()") == [b"* 1 FETCH (FLAGS (\\Recent))"]
    assert (await client.refused(b"STORE 1 FLAGS (\\Recent)")).startswith(b"BAD")
    assert (await client.refused(b"STORE 1 +LABELS (a)")).startswith(b"BAD")


async def test_message_has_only_so_many_flags(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    client = await site.reader()
    await client.ok(b"STORE 1 FLAGS.SILENT (%s)" % b" ".join(b"k%d" % n for n in range(MAX_FLAGS)))

    assert (await client.refused(b"STORE 1 +FLAGS (one-more)")).startswith(b"NO [LIMIT]")
    await client.ok(b"STORE 1 +FLAGS (k1)")


async def test_other_sessions_hear_of_flags_and_deletions_when_they_may(site: ImapSite) -> None:
    await site.deliver(SIMPLE, SIMPLE, SIMPLE)
    client, other = await site.reader(), await site.reader()
    await client.ok(b"STORE 2 +FLAGS.SILENT (\\Deleted)")
    await client.ok(b"EXPUNGE")

    # While FETCH, STORE and SEARCH by number are answered, no number may change.
    assert await other.ok(b"FETCH 3 (UID)") == [
        b"* 3 FETCH (UID 3)",
        b"* 2 FETCH (UID 2 FLAGS (\\Deleted))",
    ]
    assert await other.ok(b"SEARCH ALL") == [b"* SEARCH 1 2 3"]
    completion = (await other.ask(b"FETCH 1:3 BODY.PEEK[]"))[-1]
    assert completion.startswith(b"NO [EXPUNGEISSUED]")
    assert await other.ok(b"UID SEARCH ALL") == [b"* SEARCH 1 2 3", b"* 2 EXPUNGE"]
    assert await other.ok(b"FETCH 2 (UID)") == [b"* 2 FETCH (UID 3)"]


async def test_uid_expunge_removes_only_those_named(site: ImapSite) -> None:
    await site.deliver(SIMPLE, SIMPLE, SIMPLE)
    client = await site.reader()
    await client.ok(b"STORE 1:2 +FLAGS.SILENT (\\Deleted)")

    assert await client.ok(b"UID EXPUNGE 2:3") == [b"* 2 EXPUNGE"]
    assert await site.uids() == [1, 3]


async def test_expunge_numbers_from_the_last_one_down(site: ImapSite) -> None:
    await site.deliver(*[SIMPLE] * 5)
    client = await site.reader()
    await client.ok(b"STORE 1,3:4 +FLAGS.SILENT (\\Deleted)")

    assert await client.ok(b"EXPUNGE") == [b"* 4 EXPUNGE", b"* 3 EXPUNGE", b"* 1 EXPUNGE"]
    assert await client.ok(b"UID SEARCH ALL") == [b"* SEARCH 2 5"]


async def test_copies_have_flags_and_new_uids(site: ImapSite) -> None:
    await site.deliver(SIMPLE, SIMPLE, SIMPLE)
    client = await site.reader()
    await client.ok(b"CREATE a")
    target = await site.store.find_mailbox((await site.account()).id, "a")
    assert target is not None
    await client.ok(b"STORE 3 +FLAGS.SILENT (\\Flagged)")

    assert (await client.ask(b"COPY 1,3 a"))[-1] == b"OK [COPYUID %d 1,3 1:2] Copied" % target.uid_validity
    assert (await client.ask(b"UID COPY 9 a"))[-1] == b"OK Nothing to copy"
    assert (await client.refused(b"COPY 1 nowhere")).startswith(b"NO [TRYCREATE]")
    await client.ok(b"SELECT a")
    assert await client.ok(b"FETCH 1:2 FLAGS") == [
        b"* 1 FETCH (FLAGS (\\Recent))",
        b"* 2 FETCH (FLAGS (\\Flagged \\Recent))",
    ]


async def test_moved_messages_leave_with_copyuid_first(site: ImapSite) -> None:
    await site.deliver(SIMPLE, SIMPLE, SIMPLE)
    client = await site.reader()
    await client.ok(b"CREATE a")
    target = await site.store.find_mailbox((await site.account()).id, "a")
    assert target is not None

    assert await client.ok(b"UID MOVE 2:3 a") == [
        b"* OK [COPYUID %d 2:3 1:2] Moved" % target.uid_validity,
        b"* 3 EXPUNGE",
        b"* 2 EXPUNGE",
    ]
    assert await site.uids() == [1]


async def test_copy_into_the_same_mailbox_shows_up(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    client = await site.reader()

    assert await client.ok(b"COPY 1 INBOX") == [b"* 2 EXISTS", b"* 2 RECENT"]


async def test_quota_is_exact_for_append_and_copy(site: ImapSite) -> None:
    account = await site.account()
    await site.store.change_quota(account.id, 2 * len(SIMPLE))
    client = await site.reader()
    append = b"APPEND INBOX {%d+}\r\n%s" % (len(SIMPLE), SIMPLE)
    await client.ok(append)
    await client.ok(b"COPY 1 INBOX")

    assert (await client.refused(append)).startswith(b"NO [OVERQUOTA]")
    assert (await client.refused(b"COPY 1 INBOX")).startswith(b"NO [OVERQUOTA]")
    await site.store.change_quota(account.id, 3 * len(SIMPLE))
    await client.ok(append)


async def test_store_in_trouble_refuses_and_the_session_goes_on(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    client = await site.reader()
    await client.ok(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    site.store.is_available = False

    for command in (b"CLOSE", b"EXPUNGE", b"FETCH 1 BODY.PEEK[]", b"STORE 1 FLAGS ()"):
        assert (await client.refused(command)).startswith(b"NO [UNAVAILABLE]")
    site.store.is_available = True
    await client.ok(b"CLOSE")
    assert await site.uids() == []


async def test_fault_of_ours_is_answered_and_the_session_goes_on(
    site: ImapSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    client = await site.user()
    monkeypatch.setattr(site.metadata, "read", fail)

    assert (await client.refused(b'GETMETADATA "" /shared/admin')).startswith(b"NO [SERVERBUG]")
    await client.ok(b"NOOP")


async def test_search_finds_by_text_date_and_header(site: ImapSite) -> None:
    base64_text = (
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        b"R3LDvMOfZQ==\r\n"
    )
    await site.deliver(NESTED, SIMPLE, base64_text)
    client = await site.reader()
    inbox = await site.inbox()
    await site.store.change_flags(inbox.id, [Uid(2)], FlagMode.ADD, frozenset(("\\Seen", "$Work")))

    async def found(criteria: bytes) -> bytes:
        *_, line = [line for line in await client.ok(b"SEARCH " + criteria) if line.startswith(b"* SEARCH")]
        return line.removeprefix(b"* SEARCH").strip()

    assert await found(b"ALL") == b"1 2 3"
    assert await found(b"SUBJECT hello") == b"2"
    assert await found(b"CHARSET UTF-8 FROM {4+}\r\nB\xc3\xb6b") == b"1"
    assert await found('CHARSET utf-8 BODY "grüße"'.encode()) == b"3"
    assert await found(b"BODY html TEXT inner") == b"1"
    assert await found(b'HEADER Message-ID ""') == b"1"
    assert await found(b"NOT HEADER Message-ID 1@") == b"2 3"
    assert await found(b"SENTON 7-Feb-1994") == b"1"
    assert await found(b"SENTBEFORE 8-Feb-1994") == b"1"
    assert await found(b"SENTSINCE 8-Feb-1994") == b""
    assert await found(b"ON 14-Nov-2023 SINCE 14-Nov-2023") == b"1 2 3"
    assert await found(b"BEFORE 14-Nov-2023") == b""
    assert await found(b"OR SEEN (UID 3 UNSEEN)") == b"2 3"
    assert await found(b"KEYWORD $work") == b"2"
    assert await found(b"UNKEYWORD $work 2:*") == b"3"
    assert await found(b"2:9") == b"2 3"
    assert await found(b"LARGER 500") == b"1"
    assert await found(b"SMALLER 60") == b"2"
    assert await found(b"NEW") == b"1 3"
    assert await found(b"OLD") == b""
    assert await found(b"CC alice") == b""
    assert await found(b"TO carol@example.org") == b"1"
    assert await found(b"BCC x") == b""


@pytest.mark.parametrize(
    ("criteria", "completion"),
    [
        (b"CHARSET KOI8-R ALL", b"NO [BADCHARSET (US-ASCII UTF-8)]"),
        (b'CHARSET US-ASCII SUBJECT "\xc3\xb6"', b"BAD"),
        (b"NOTHING", b"BAD"),
        (b"", b"BAD"),
        (b"SINCE 30-Feb-2020", b"BAD"),
        (b"(" * 40 + b"ALL" + b")" * 40, b"BAD"),
        (b"NOT " * 40 + b"ALL", b"BAD"),
        (b" ".join([b"ALL"] * 257), b"BAD"),
    ],
)
async def test_search_that_makes_no_sense_is_refused(
    site: ImapSite, criteria: bytes, completion: bytes
) -> None:
    client = await site.reader()

    assert (await client.refused(b"SEARCH " + criteria)).startswith(completion)


async def test_search_in_an_empty_mailbox_finds_nothing(site: ImapSite) -> None:
    client = await site.reader()

    for criteria in (b"ALL", b"1:*", b"UID *", b"NOT 7"):
        assert await client.ok(b"SEARCH " + criteria) == [b"* SEARCH"]


async def test_long_answers_let_others_have_their_turn(site: ImapSite) -> None:
    await site.deliver(*[SIMPLE] * 200)
    client, other = await site.reader(), await site.reader()
    client.send(b"f FETCH 1:200 (UID FLAGS BODY.PEEK[HEADER])\r\n" * 5)
    await other.ok(b"NOOP")

    for _ in range(5):
        lines = await client.answer(b"f")
        assert [int(line.split()[1]) for line in lines[:-1]] == list(range(1, 201))
