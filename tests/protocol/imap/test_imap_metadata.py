"""METADATA and QUOTA, as dialogues."""

from pathlib import Path

import pytest

from support.imap_server import ALICE, NOW_SECONDS, SIMPLE, ImapSite, running_site

pytestmark = pytest.mark.anyio

DAY_SECONDS = 86_400


async def test_shared_entries_come_fresh_from_the_node(site: ImapSite) -> None:
    client = await site.user()
    ask = (
        b'GETMETADATA "" (/shared/comment /shared/admin /shared/vendor/deltachat/turn /shared/vendor/account)'
    )

    assert await client.ok(ask) == [
        b'* METADATA "" (/shared/comment NIL /shared/admin "mailto:admin@example.org" '
        b'/shared/vendor/deltachat/turn "t:1:2:3" /shared/vendor/account "%s")' % ALICE.encode()
    ]
    site.metadata.entries["/shared/admin"] = "changed"
    assert await client.ok(b'GETMETADATA "" /SHARED/Admin') == [b'* METADATA "" (/SHARED/Admin "changed")']
    assert await client.ok(b"GETMETADATA INBOX /shared/admin") == [b'* METADATA "INBOX" (/shared/admin NIL)']


async def test_private_entries_are_kept_for_each_mailbox_and_user(site: ImapSite) -> None:
    client = await site.user()
    await client.ok(
        b'SETMETADATA "" (/private/note "for me" /private/vendor/x {3+}\r\n\xc3\xb6! /private/gone NIL)'
    )
    await client.ok(b"SETMETADATA INBOX (/private/note box)".replace(b"box", b'"box"'))

    assert await client.ok(b'GETMETADATA "" (/private/note /private/vendor/x)') == [
        b'* METADATA "" (/private/note "for me" /private/vendor/x {3}\r\n\xc3\xb6!)'
    ]
    assert await client.ok(b"GETMETADATA INBOX /private/note") == [
        b'* METADATA "INBOX" (/private/note "box")'
    ]
    await client.ok(b'SETMETADATA "" (/PRIVATE/Note NIL)')
    assert await client.ok(b'GETMETADATA "" /private/note') == [b'* METADATA "" (/private/note NIL)']
    other = await site.user("bobby123@example.org")
    assert await other.ok(b'GETMETADATA "" /private/vendor/x') == [b'* METADATA "" (/private/vendor/x NIL)']


async def test_depth_and_size_choose_what_is_told(site: ImapSite) -> None:
    client = await site.user()
    await client.ok(b'SETMETADATA "" (/private/a "1" /private/a/b "22" /private/a/b/c "333")')

    assert await client.ok(b'GETMETADATA (DEPTH 1) "" /private/a') == [
        b'* METADATA "" (/private/a "1" /private/a/b "22")'
    ]
    *lines, completion = await client.ask(b'GETMETADATA (MAXSIZE 2 DEPTH infinity) "" (/private/a)')
    assert lines == [b'* METADATA "" (/private/a "1" /private/a/b "22")']
    assert completion.startswith(b"OK [METADATA LONGENTRIES 3]")


@pytest.mark.parametrize(
    ("command", "completion"),
    [
        (b'SETMETADATA "" (/shared/admin "me")', b"NO [NOPERM]"),
        (b'SETMETADATA nowhere (/private/a "1")', b"NO [NONEXISTENT]"),
        (b"GETMETADATA nowhere /private/a", b"NO [NONEXISTENT]"),
        (b'GETMETADATA "" /elsewhere/a', b"BAD"),
        (b'GETMETADATA "" /private/', b"BAD"),
        (b'GETMETADATA "" /private//a', b"BAD"),
        (b'GETMETADATA "" "/private/*"', b"BAD"),
        (b'GETMETADATA "" "/private/%"', b"BAD"),
        (b'GETMETADATA "" /private/' + b"x" * 255, b"BAD"),
        (b'GETMETADATA (DEPTH 2) "" /private/a', b"BAD"),
        (b'GETMETADATA (WIDTH 2) "" /private/a', b"BAD"),
        (b'SETMETADATA "" (/private/a {1+}\r\n\xff)', b"BAD"),
        (b'SETMETADATA "" (/private/a)', b"BAD"),
        (b'SETMETADATA "" ()', b"BAD"),
    ],
)
async def test_impossible_entry_is_refused(site: ImapSite, command: bytes, completion: bytes) -> None:
    client = await site.user()

    assert (await client.refused(command)).startswith(completion)


async def test_there_is_room_for_so_many_entries(site: ImapSite) -> None:
    client = await site.user()
    for start in (0, 50):
        values = b" ".join(b'/private/e%d "x"' % n for n in range(start, start + 50))
        await client.ok(b'SETMETADATA "" (%s)' % values)

    assert (await client.refused(b'SETMETADATA "" (/private/more "x")')).startswith(b"NO [METADATA TOOMANY]")
    await client.ok(b'SETMETADATA "" (/private/e1 "y")')
    await client.ok(b'SETMETADATA "" (/private/e1 NIL /private/more "x")')


async def test_there_is_room_for_values_of_so_much(site: ImapSite) -> None:
    client = await site.user()
    await client.ok(b'SETMETADATA "" (/private/a {65000+}\r\n%s)' % (b"x" * 65_000))

    await client.ok(b'SETMETADATA "" (/private/b {536+}\r\n%s)' % (b"x" * 536))
    refused = await client.refused(b'SETMETADATA "" (/private/c "x")')
    assert refused.startswith(b"NO [METADATA MAXSIZE 65536]")


async def test_device_tokens_are_a_set_that_ages(imap_certificate: Path) -> None:
    now_seconds = [float(NOW_SECONDS)]
    async with running_site(imap_certificate, clock_seconds=lambda: now_seconds[0]) as site:
        client = await site.user()
        ask = b"GETMETADATA INBOX /private/devicetoken"
        assert await client.ok(ask) == [b'* METADATA "INBOX" (/private/devicetoken NIL)']
        await client.ok(b'SETMETADATA "INBOX" (/private/devicetoken "fcm:one")')
        now_seconds[0] += DAY_SECONDS
        for token in (b"openpgp:two", b"openpgp:two"):
            await client.ok(b'SETMETADATA "INBOX" (/private/devicetoken "%s")' % token)
        await client.ok(b"SETMETADATA INBOX (/private/devicetoken NIL)")
        assert await client.ok(ask) == [b'* METADATA "INBOX" (/private/devicetoken "fcm:one openpgp:two")']

        now_seconds[0] += 89 * DAY_SECONDS
        assert await client.ok(ask) == [b'* METADATA "INBOX" (/private/devicetoken "fcm:one openpgp:two")']
        now_seconds[0] += 1
        assert await client.ok(ask) == [b'* METADATA "INBOX" (/private/devicetoken "openpgp:two")']


async def test_device_token_is_bounded_and_printable(site: ImapSite) -> None:
    client = await site.user()
    set_token = b"SETMETADATA INBOX (/private/devicetoken {%d+}\r\n%s)"
    await client.ok(set_token % (8192, b"x" * 8192))

    assert (await client.refused(set_token % (8193, b"x" * 8193))).startswith(b"NO [METADATA MAXSIZE 8192]")
    assert (await client.refused(set_token % (3, b"a b"))).startswith(b"NO [CANNOT]")
    for number in range(99):
        await client.ok(set_token % (4, b"t%03d" % number))
    assert (await client.refused(set_token % (3, b"one"))).startswith(b"NO [METADATA TOOMANY]")
    await client.ok(set_token % (4, b"t001"))


async def test_quota_is_rounded_against_the_user(site: ImapSite) -> None:
    await site.deliver(SIMPLE)
    account = await site.account()
    await site.store.change_quota(account.id, 10 * 1024 + 1023)
    client = await site.user()

    assert await client.ok(b'GETQUOTA "ROOT"') == [b'* QUOTA "ROOT" (STORAGE 1 10)']


async def test_quota_of_the_policy_is_in_force_at_once(site: ImapSite) -> None:
    client = await site.user()
    account = await site.account()
    await site.store.change_quota(account.id, 4096)

    assert await client.ok(b"GETQUOTA ROOT") == [b'* QUOTA "ROOT" (STORAGE 0 4)']


@pytest.mark.parametrize(
    ("command", "completion"),
    [
        (b"GETQUOTA other", b"NO [NONEXISTENT]"),
        (b"GETQUOTAROOT nowhere", b"NO [NONEXISTENT]"),
        (b"SETQUOTA ROOT (STORAGE 1)", b"NO [NOPERM]"),
        (b"SETQUOTA ROOT ()", b"NO [NOPERM]"),
        (b"SETQUOTA ROOT (STORAGE)", b"BAD"),
    ],
)
async def test_impossible_quota_command_is_refused(site: ImapSite, command: bytes, completion: bytes) -> None:
    client = await site.user()

    assert (await client.refused(command)).startswith(completion)
