"""Flags that several sessions change, and keywords in several spellings."""

import pytest

from support.imap_server import SIMPLE, ImapSite

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", [b"+", b"", b"-"])
async def test_silent_store_tells_what_another_session_has_changed(site: ImapSite, mode: bytes) -> None:
    """Source: RFC 3501 section 6.4.6."""
    await site.deliver(SIMPLE, SIMPLE)
    client, other = await site.reader(), await site.reader()
    await client.ok(b"NOOP")
    await other.ok(b"STORE 1 +FLAGS (\\Flagged)")

    lines = await client.ok(b"STORE 1:2 %sFLAGS.SILENT (\\Seen)" % mode)
    flags = {b"+": b"\\Flagged \\Seen", b"": b"", b"-": b"\\Flagged"}[mode]
    assert [line.replace(b" \\Recent", b"") for line in lines] == (
        [b"* 1 FETCH (FLAGS (%s))" % flags] if mode else []
    )


async def test_keyword_is_removed_in_whatever_spelling_it_came(site: ImapSite) -> None:
    client = await site.user()
    for spelling in (b"Work", b"WORK", b"work"):
        await client.ok(b"APPEND INBOX (%s) {%d+}\r\n%s" % (spelling, len(SIMPLE), SIMPLE))
    await client.ok(b"SELECT INBOX")

    await client.ok(b"STORE 1:3 -FLAGS.SILENT (wOrK)")
    assert await client.ok(b"SEARCH KEYWORD work") == [b"* SEARCH"]


async def test_keyword_that_is_given_in_two_spellings_is_one(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    client = await site.reader()

    (line,) = await client.ok(b"STORE 1 FLAGS (Later LATER later)")
    assert line.lower().count(b"later") == 1
