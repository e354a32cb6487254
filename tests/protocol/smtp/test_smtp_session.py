"""Dialogues: TLS, login, the order of commands, and where a message ends."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailnode.smtp.server import SmtpLimits
from support.openpgp_messages import ALICE, BOB, encrypted_mail
from support.smtp_site import HOST, PASSWORD, Client, SmtpSite, running_site

MESSAGE = bytes(encrypted_mail())
MAIL = f"MAIL FROM:<{ALICE}>"
RCPT = f"RCPT TO:<{BOB}>"

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SmtpSite]:
    async with running_site(tmp_path) as site:
        yield site


def encode(text: str) -> str:
    return b64encode(text.encode()).decode()


PLAIN_LOGIN = f"AUTH PLAIN {encode(f'{chr(0)}{ALICE}{chr(0)}{PASSWORD}')}"


async def secured(site: SmtpSite, client: Client) -> Client:
    """Go on with TLS after STARTTLS has been answered."""
    reader, writer = client.reader, client.writer
    await writer.start_tls(site.client_tls, server_hostname=HOST)
    return Client(reader, writer)


async def test_ehlo_offers_what_delta_chat_uses(site: SmtpSite) -> None:
    client = await site.connect()
    greeting = await client.reply()

    assert (greeting.code, greeting.text) == (220, "mail.example.org ESMTP")
    assert (await client.ask("EHLO [127.0.0.1]")).lines == [
        "mail.example.org",
        "PIPELINING",
        "SIZE 31457280",
        "8BITMIME",
        "CHUNKING",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "AUTH PLAIN LOGIN",
    ]


async def test_before_tls_there_is_starttls_and_no_login(site: SmtpSite) -> None:
    client = await site.greeted(is_secure=False)

    lines = (await client.ask("EHLO x")).lines
    assert "STARTTLS" in lines
    assert not [line for line in lines if line.startswith("AUTH")]
    for command in (PLAIN_LOGIN, "AUTH LOGIN", MAIL, RCPT, "DATA", "VRFY x", "HELP"):
        reply = await client.ask(command)
        assert (reply.code, reply.status) == (530, "5.7.0"), command
    assert await client.codes("NOOP", "RSET", "HELO x") == [250, 250, 250]


async def test_with_tls_from_the_start_there_is_no_starttls(site: SmtpSite) -> None:
    client = await site.greeted()

    assert "STARTTLS" not in (await client.ask("EHLO x")).lines
    assert (await client.ask("STARTTLS")).code == 503


async def test_starttls_begins_anew(site: SmtpSite) -> None:
    client = await site.greeted(is_secure=False)
    assert (await client.ask("STARTTLS")).code == 220

    client = await secured(site, client)

    assert (await client.ask(PLAIN_LOGIN)).code == 503
    lines = (await client.ask("EHLO x")).lines
    assert "AUTH PLAIN LOGIN" in lines
    assert "STARTTLS" not in lines
    assert (await client.ask("STARTTLS")).code == 503
    assert (await client.ask(PLAIN_LOGIN)).code == 235
    await site.account(BOB)
    assert (await client.submit(MESSAGE)).code == 250


@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"EHLO evil\r\nNOOP\r\n", b"NO", b"NOOP\r\n" * 2_000])
async def test_what_came_before_tls_is_not_heard_after_it(site: SmtpSite, injected: bytes) -> None:
    client = await site.greeted(is_secure=False)
    client.send(b"STARTTLS\r\n" + injected)
    assert (await client.reply()).code == 220

    client = await secured(site, client)

    assert (await client.ask("XTEST")).code == 500  # the first answer is to this
    assert (await client.ask("EHLO x")).code == 250


async def test_broken_tls_ends_the_session_and_nothing_else(site: SmtpSite) -> None:
    client = await site.greeted(is_secure=False)
    assert (await client.ask("STARTTLS")).code == 220
    client.send(b"this is no client hello\r\n" * 20)

    assert b"250" not in await client.rest()
    assert (await (await site.greeted()).ask("NOOP")).code == 250


async def test_tls_that_never_comes_ends_the_session(tmp_path: Path) -> None:
    async with running_site(tmp_path, limits=SmtpLimits(login_seconds=0.2)) as site:
        client = await site.greeted(is_secure=False)
        assert (await client.ask("STARTTLS")).code == 220

        assert await client.rest() == b""


async def test_login_creates_the_account(site: SmtpSite) -> None:
    client = await site.greeted()

    reply = await client.log_in()

    assert (reply.code, reply.status) == (235, "2.7.0")
    assert await site.store.find_account(ALICE) is not None


@pytest.mark.parametrize(
    "answers",
    [
        [f"AUTH PLAIN {encode(f'{chr(0)}{ALICE}{chr(0)}{PASSWORD}')}"],
        [f"auth plain {encode(f'{ALICE}{chr(0)}{ALICE}{chr(0)}{PASSWORD}')}"],
        ["AUTH PLAIN", encode(f"\0{ALICE}\0{PASSWORD}")],
        ["AUTH LOGIN", encode(ALICE), encode(PASSWORD)],
        [f"AUTH LOGIN {encode(ALICE)}", encode(PASSWORD)],
    ],
)
async def test_ways_to_log_in(site: SmtpSite, answers: list[str]) -> None:
    client = await site.greeted()

    codes = await client.codes(*answers)

    assert codes == [334] * (len(answers) - 1) + [235]


async def test_login_asks_for_name_and_password(site: SmtpSite) -> None:
    client = await site.greeted()

    assert (await client.ask("AUTH LOGIN")).text == encode("Username:")
    assert (await client.ask(encode(ALICE))).text == encode("Password:")


async def test_wrong_password_is_refused_without_a_reason(site: SmtpSite) -> None:
    await site.account(ALICE)
    client = await site.greeted()

    replies = [
        await client.log_in(ALICE, "another password"),
        await client.log_in("x@example.org", PASSWORD),
        await client.log_in("alice1234@example.net", PASSWORD),
    ]

    assert [(reply.code, reply.status) for reply in replies] == [(535, "5.7.8")] * 3
    assert len({reply.text for reply in replies}) == 1
    assert (await client.log_in()).code == 235


async def test_login_that_cannot_be_judged_is_put_off(site: SmtpSite) -> None:
    client = await site.greeted()
    site.store.is_available = False

    reply = await client.log_in()

    assert (reply.code, reply.status) == (454, "4.7.0")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("AUTH", 504),
        ("AUTH CRAM-MD5", 504),
        ("AUTH PLAIN !", 501),
        ("AUTH PLAIN =", 501),
        (f"AUTH PLAIN {encode('no separators')}", 501),
        (f"AUTH PLAIN {encode(f'{BOB}{chr(0)}{ALICE}{chr(0)}{PASSWORD}')}", 501),
        ("AUTH LOGIN !", 501),
    ],
)
async def test_malformed_login_is_refused(site: SmtpSite, command: str, code: int) -> None:
    client = await site.greeted()

    assert (await client.ask(command)).code == code
    assert (await client.log_in()).code == 235


async def test_login_can_be_aborted(site: SmtpSite) -> None:
    client = await site.greeted()

    assert await client.codes("AUTH PLAIN", "*") == [334, 501]
    assert await client.codes("AUTH LOGIN", encode(ALICE), "*") == [334, 334, 501]
    assert (await client.ask("NOOP")).code == 250


async def test_second_login_is_refused(site: SmtpSite) -> None:
    client = await site.user()

    assert (await client.log_in()).code == 503


async def test_mail_needs_a_login(site: SmtpSite) -> None:
    client = await site.greeted()

    assert await client.codes(MAIL, RCPT, "DATA", "VRFY x") == [530] * 4


async def test_order_of_commands_is_kept(site: SmtpSite) -> None:
    client = await site.connect()
    await client.reply()
    assert (await client.log_in()).code == 503
    await client.ask("EHLO x")
    await site.account(BOB)
    await client.log_in()

    assert await client.codes(RCPT, "DATA", MAIL, "DATA", MAIL, "RSET", RCPT) == [
        503,
        503,
        250,
        503,
        503,
        250,
        503,
    ]
    assert await client.codes(MAIL, RCPT, "EHLO x", RCPT, MAIL, "HELO x", RCPT) == [
        250,
        250,
        250,
        503,
        250,
        250,
        503,
    ]
    assert (await client.submit(MESSAGE)).code == 250
    assert (await client.ask(RCPT)).code == 503


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("EHLO", 501),
        ("HELO", 501),
        ("STARTTLS x", 501),
        ("RSET x", 501),
        ("QUIT x", 501),
        ("MAIL", 501),
        ("MAIL FROM:alice1234@example.org", 501),
        ("MAIL FROM:<alice1234@example.org> RET=FULL", 555),
        ("MAIL FROM:<alice1234@example.org> SIZE=x", 501),
        ("VRFY", 501),
        ("VRFY alice1234", 252),
        ("EXPN list", 502),
        ("HELP", 214),
        ("HELP MAIL", 214),
        ("NOOP whatever", 250),
        ("TURN", 500),
        ("XYZZY", 500),
        ("", 500),
        ("GET / HTTP/1.1", 500),
    ],
)
async def test_command_is_answered(site: SmtpSite, command: str, code: int) -> None:
    client = await site.user()

    assert (await client.ask(command)).code == code
    assert (await client.ask("NOOP")).code == 250


async def test_arguments_of_rcpt_and_data_are_checked(site: SmtpSite) -> None:
    client = await site.user()
    await client.ask(MAIL)

    assert await client.codes("RCPT", f"{RCPT} NOTIFY=NEVER", RCPT, "DATA x") == [501, 555, 250, 501]


async def test_every_reply_but_a_few_has_a_status_of_its_class(site: SmtpSite) -> None:
    client = await site.user()

    for command in (
        "NOOP",
        "RSET",
        "HELP",
        "VRFY x",
        "EXPN x",
        "XYZZY",
        MAIL,
        RCPT,
        "RCPT TO:<x>",
        "STARTTLS",
    ):
        reply = await client.ask(command)
        assert reply.status[0] == str(reply.code)[0], command
        assert reply.status.count(".") == 2, command


async def test_quit_is_answered_and_closes(site: SmtpSite) -> None:
    client = await site.user()

    assert (await client.ask("QUIT")).code == 221
    assert await client.rest() == b""


async def test_pipelined_commands_are_answered_in_order(site: SmtpSite) -> None:
    client = await site.user()
    client.send(f"{MAIL}\r\nRCPT TO:<x@example.net>\r\n{RCPT}\r\nDATA\r\n".encode())
    assert [(await client.reply()).code for _ in range(4)] == [250, 550, 250, 354]
    client.send(MESSAGE + b".\r\n" + f"{MAIL}\r\n{RCPT}\r\nDATA\r\n".encode() + MESSAGE + b".\r\nQUIT\r\n")

    assert [(await client.reply()).code for _ in range(6)] == [250, 250, 250, 354, 250, 221]
    assert await site.inbox(BOB) == [MESSAGE, MESSAGE]


async def test_commands_before_the_client_closed_its_side_are_answered(site: SmtpSite) -> None:
    client = await site.connect(is_secure=False)
    client.send(b"EHLO x\r\nNOOP\r\nNOO")
    client.writer.write_eof()

    assert (await client.rest()).endswith(b"250 2.0.0 OK\r\n")


@pytest.mark.parametrize(
    "end",
    [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n\x00.\r\n", b"\n\n.\r\n"],
)
async def test_only_crlf_dot_crlf_ends_a_message(site: SmtpSite, end: bytes) -> None:
    smuggled = f"{MAIL}\r\n{RCPT}\r\nDATA\r\n".encode() + MESSAGE
    client = await site.user()
    await client.open_mail()
    client.send(MESSAGE + b"x" + end + smuggled + b"\r\n.\r\n")

    reply = await client.reply()

    assert 500 <= reply.code < 600
    assert (await client.ask("NOOP")).text == "2.0.0 OK"  # no answer to what was smuggled is in between
    assert await site.inbox(BOB) == []


async def test_dot_alone_ends_an_empty_message(site: SmtpSite) -> None:
    client = await site.user()
    await client.open_mail()
    client.send(b".\r\n")

    assert (await client.reply()).code == 523


async def test_stuffed_dots_are_taken_off(site: SmtpSite) -> None:
    client = await site.user()

    message = MESSAGE.replace(b"Chat-Version: 1.0", b".a: dot\r\n..b: two dots\r\n.: one")
    assert (await client.submit(message)).code == 250
    assert await site.inbox(BOB) == [message]


async def test_plain_text_where_tls_is_expected_gets_no_answer(site: SmtpSite) -> None:
    reader, writer = await asyncio.open_connection(HOST, site.tls_port)
    writer.write(b"EHLO x\r\n")

    assert b"250" not in await Client(reader, writer).rest()
    writer.close()
