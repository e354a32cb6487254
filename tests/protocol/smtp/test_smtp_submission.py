"""From a logged-in client to the mailboxes: who may send what to whom, and what everybody hears."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.openpgp_messages import (
    ALICE,
    BOB,
    encrypted_mail,
    join_request,
    mail_header,
    setup_message,
)
from support.smtp_site import HOST, PASSWORD, SmtpSite, running_site

CAROL = "carol123@example.org"
MESSAGE = bytes(encrypted_mail())
PLAIN = b"\r\n".join([*mail_header(), b"Content-Type: text/plain", b"", b"Hello", b""])

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SmtpSite]:
    async with running_site(tmp_path) as site:
        yield site


async def test_encrypted_message_reaches_its_recipient_byte_for_byte(site: SmtpSite) -> None:
    client = await site.user()

    reply = await client.submit(MESSAGE)

    assert (reply.code, reply.status) == (250, "2.6.0")
    assert await site.inbox(BOB) == [MESSAGE]
    assert await site.inbox(ALICE) == []


async def test_one_connection_takes_many_messages(site: SmtpSite) -> None:
    client = await site.user()

    assert [(await client.submit(MESSAGE)).code for _ in range(3)] == [250] * 3
    assert await site.inbox(BOB) == [MESSAGE] * 3


async def test_request_to_join_and_setup_message_pass(site: SmtpSite) -> None:
    client = await site.user()

    assert (await client.submit(bytes(join_request()))).code == 250
    assert (await client.submit(bytes(setup_message()), ALICE)).code == 250
    assert (await client.submit(bytes(setup_message()), BOB)).code == 523


@pytest.mark.parametrize(
    "message",
    [
        PLAIN,
        b"",
        b"Hello\r\n",
        PLAIN + b"application/pgp-encrypted\r\n",
        MESSAGE.replace(b"Version: 1", b"Hello"),
    ],
)
async def test_plain_text_is_refused_and_the_session_goes_on(site: SmtpSite, message: bytes) -> None:
    client = await site.user()

    reply = await client.submit(message)

    assert (reply.code, reply.text) == (523, "5.7.1 Encryption Needed: Invalid Unencrypted Mail")
    assert (await client.submit(MESSAGE)).code == 250
    assert await site.inbox(BOB) == [MESSAGE]


async def test_message_under_another_name_is_refused(site: SmtpSite) -> None:
    client = await site.user()

    reply = await client.submit(bytes(encrypted_mail(sender=BOB)))

    assert (reply.code, reply.text) == (500, f"5.6.0 Invalid FROM <{BOB}> for <{ALICE}>")
    assert await site.inbox(BOB) == []


async def test_what_tells_about_the_client_is_not_delivered(site: SmtpSite) -> None:
    telling = b"Received: from phone ([192.0.2.7])\r\nX-Mailer: x\r\n" + MESSAGE.replace(b"[...]", b"Hello")
    client = await site.user()

    assert (await client.submit(telling)).code == 250
    assert await site.inbox(BOB) == [MESSAGE]


@pytest.mark.parametrize(
    "field",
    [
        b"Bcc: <carol123@example.org>",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org;\r\n\ts=x; b=QUJD",
        b"Authentication-Results: mail.example.org; dkim=pass",
        b"ARC-Seal: i=1; cv=pass",
        b"Return-Path: <" + BOB.encode() + b">",
        b"Delivered-To: x",
    ],
)
async def test_what_only_servers_may_say_is_not_delivered(site: SmtpSite, field: bytes) -> None:
    client = await site.user()

    assert (await client.submit(field + b"\r\n" + MESSAGE)).code == 250
    assert await site.inbox(BOB) == [MESSAGE]


@pytest.mark.parametrize(
    ("author", "code"),
    [
        (f"<{ALICE}>", 250),
        (f'"Alice, of course" <{ALICE.upper()}>', 250),
        (ALICE, 250),
        (f"<{ALICE}>, <{BOB}>", 500),
        (f"<{BOB}>", 500),
        (f'"{ALICE}" <{BOB}>', 500),
        (f"{ALICE} <{BOB}>", 500),
        ("<alice1234+tag@example.org>", 500),
        ("", 500),
        (f"friends: <{ALICE}>;", 500),
    ],
)
async def test_author_is_the_login_and_nobody_beside(site: SmtpSite, author: str, code: int) -> None:
    message = MESSAGE.replace(b"From: <%b>" % ALICE.encode(), b"From: " + author.encode())
    assert author.encode() in message
    client = await site.user()

    assert (await client.submit(message)).code == code
    assert await site.inbox(BOB) == ([message] if code == 250 else [])


@pytest.mark.parametrize("second", [f"From: <{ALICE}>", f"From: <{BOB}>"])
async def test_second_author_field_is_refused(site: SmtpSite, second: str) -> None:
    client = await site.user()

    assert (await client.submit(second.encode() + b"\r\n" + MESSAGE)).code == 523
    assert await site.inbox(BOB) == []


@pytest.mark.parametrize(
    "sender", [BOB, "nobody@example.org", "alice1234@example.net", '"alice1234"@example.org']
)
async def test_sender_is_the_login_or_nobody(site: SmtpSite, sender: str) -> None:
    client = await site.user()

    reply = await client.ask(f"MAIL FROM:<{sender}>")

    assert (reply.code, reply.status) == (553, "5.7.1")
    assert (await client.ask("MAIL FROM:<>")).code == 553


async def test_case_of_the_sender_does_not_count(site: SmtpSite) -> None:
    client = await site.user()

    assert (await client.submit(MESSAGE, BOB.upper(), sender=ALICE.upper())).code == 250
    assert await site.inbox(BOB) == [MESSAGE]


@pytest.mark.parametrize(
    ("recipient", "code", "status"),
    [
        ("nobody99@example.org", 550, "5.1.1"),
        ('"a b"@example.org', 550, "5.1.1"),
        ("bob56789@example.net", 550, "5.7.1"),
        ("bob56789@[192.0.2.1]", 550, "5.7.1"),
        ("bob56789", 501, "5.1.3"),
        ("", 501, "5.1.3"),
    ],
)
async def test_recipient_that_is_none_of_ours_is_refused(
    site: SmtpSite, recipient: str, code: int, status: str
) -> None:
    client = await site.user()
    await client.ask(f"MAIL FROM:<{ALICE}>")

    reply = await client.ask(f"RCPT TO:<{recipient}>")

    assert (reply.code, reply.status) == (code, status)


async def test_foreign_domain_is_refused_with_a_text_that_says_why(site: SmtpSite) -> None:
    client = await site.user()
    await client.ask(f"MAIL FROM:<{ALICE}>")

    assert "within its own fleet only" in (await client.ask("RCPT TO:<a@example.net>")).text


async def test_banned_recipient_is_unknown(site: SmtpSite) -> None:
    client = await site.user()
    await site.accounts.change_ban(BOB, is_banned=True)
    await client.ask(f"MAIL FROM:<{ALICE}>")

    assert (await client.ask(f"RCPT TO:<{BOB}>")).code == 550


async def test_message_goes_to_those_who_exist(site: SmtpSite) -> None:
    client = await site.user()
    await site.account(CAROL)
    await client.ask(f"MAIL FROM:<{ALICE}>")
    commands = [f"RCPT TO:<{address}>" for address in (BOB, "nobody99@example.org", CAROL, BOB)]
    assert await client.codes(*commands) == [250, 550, 250, 250]
    assert (await client.ask("DATA")).code == 354
    client.send(MESSAGE + b".\r\n")

    assert (await client.reply()).code == 250
    assert await site.inbox(BOB) == await site.inbox(CAROL) == [MESSAGE]
    assert site.store.body_count == 1


async def test_smtplib_gets_a_message_through(site: SmtpSite) -> None:
    await site.account(BOB)

    def send(client: smtplib.SMTP) -> None:
        with client:
            client.login(ALICE, PASSWORD)
            client.sendmail(ALICE, [BOB], MESSAGE, ["BODY=8BITMIME", "SMTPUTF8"])
            with pytest.raises(smtplib.SMTPDataError) as refusal:
                client.sendmail(ALICE, [BOB], PLAIN)
            assert refusal.value.args == (523, b"5.7.1 Encryption Needed: Invalid Unencrypted Mail")

    def send_with_tls_from_the_start() -> None:
        send(smtplib.SMTP_SSL(HOST, site.tls_port, context=site.client_tls, timeout=10))

    def send_with_starttls() -> None:
        client = smtplib.SMTP(HOST, site.plain_port, timeout=10)
        client.starttls(context=site.client_tls)
        send(client)

    await asyncio.to_thread(send_with_tls_from_the_start)
    await asyncio.to_thread(send_with_starttls)

    assert await site.inbox(BOB) == [MESSAGE, MESSAGE]


async def test_transport_that_has_its_tls_already_is_taken_over(site: SmtpSite) -> None:
    """As on port 443: a protocol of somebody else's sees the handshake, and hands the transport on."""
    loop = asyncio.get_running_loop()

    class Doorman(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            protocol = site.server.build_protocol(is_secure=True)
            transport.set_protocol(protocol)
            protocol.connection_made(transport)

    server = await loop.create_server(Doorman, HOST, 0, ssl=site.server.tls)
    site.stack.callback(server.close)
    site.tls_port = server.sockets[0].getsockname()[1]

    client = await site.user()

    assert (await client.submit(MESSAGE)).code == 250
