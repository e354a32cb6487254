"""Python's own IMAP client against the server: a second opinion on every command that it has."""

import asyncio
import imaplib
from collections.abc import Callable

import pytest

from support.imap_server import ALICE, HOST, PASSWORD, SIMPLE, ImapSite

pytestmark = pytest.mark.anyio


async def in_thread(
    site: ImapSite, dialogue: Callable[[imaplib.IMAP4], None], *, is_secure: bool = True
) -> None:
    def run() -> None:
        client: imaplib.IMAP4
        if is_secure:
            client = imaplib.IMAP4_SSL(HOST, site.tls_port, ssl_context=site.client_tls, timeout=10)
        else:
            client = imaplib.IMAP4(HOST, site.plain_port, timeout=10)
            assert client.starttls(site.client_tls)[0] == "OK"
        with client:
            dialogue(client)

    await asyncio.to_thread(run)


def ok(reply: tuple[str, object]) -> object:
    status, data = reply
    assert status == "OK", data
    return data


async def test_imaplib_finds_every_command_at_work(site: ImapSite) -> None:
    def dialogue(client: imaplib.IMAP4) -> None:
        ok(client.login(ALICE, PASSWORD))
        assert b" IDLE " in client.capability()[1][0]
        assert ok(client.select()) == [b"0"]
        ok(client.append("INBOX", "(\\Seen)", imaplib.Time2Internaldate(1_700_000_000.0), SIMPLE))
        ok(client.create("Archive/2024"))
        assert len(list(ok(client.list()))) == 3  # type: ignore[call-overload] # a list, by imaplib's word
        ok(client.subscribe("Archive"))
        assert ok(client.lsub()) == [b'(\\HasNoChildren) "/" "Archive"']
        ok(client.noop())
        assert ok(client.search(None, "SEEN", "SUBJECT", "hello")) == [b"1"]
        assert client.fetch("1", "(UID BODY[TEXT])")[1][0] == (b"1 (UID 1 BODY[TEXT] {6}", b"Text\r\n")
        ok(client.copy("1", "Archive"))
        assert ok(client.status("Archive", "(MESSAGES UIDNEXT)")) == [b'"Archive" (MESSAGES 1 UIDNEXT 2)']
        ok(client.store("1", "+FLAGS", "(\\Deleted)"))
        assert ok(client.expunge()) == [b"1"]
        assert ok(client.getquotaroot("INBOX")) == [[b'"INBOX" "ROOT"'], [b'"ROOT" (STORAGE 1 1048576)']]
        ok(client.getquota("ROOT"))
        ok(client.namespace())
        ok(client.check())
        ok(client.uid("SEARCH", "ALL"))
        ok(client.rename("Archive/2024", "Old"))
        ok(client.unsubscribe("Archive"))
        ok(client.unselect())
        ok(client.select("Archive", readonly=True))
        ok(client.close())
        ok(client.delete("Archive"))

    await in_thread(site, dialogue)


async def test_imaplib_logs_in_over_starttls_and_sasl(site: ImapSite) -> None:
    def dialogue(client: imaplib.IMAP4) -> None:
        ok(client.authenticate("PLAIN", lambda _: f"\0{ALICE}\0{PASSWORD}".encode()))
        ok(client.enable("UTF8=ACCEPT") if "ENABLE" in client.capabilities else ("NO", "not offered"))
        ok(client.select())

    await in_thread(site, dialogue, is_secure=False)
