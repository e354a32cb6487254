"""Before and around the login: what is offered, what is refused, and what ends a session."""

import asyncio
import base64
import ssl

import pytest

from mailnode.accounts.policy import Policy
from support.clocks import until
from support.imap_server import ALICE, HOST, PASSWORD, SIMPLE, Client, ImapSite

pytestmark = pytest.mark.anyio

LOGIN = f'LOGIN {ALICE} "{PASSWORD}"'.encode()
RESPONSE = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode())


async def start_tls(site: ImapSite, client: Client) -> None:
    assert site.client_tls is not None
    await client.writer.start_tls(site.client_tls, server_hostname=HOST)


async def test_no_login_without_tls(site: ImapSite) -> None:
    client = await site.connect(is_secure=False)

    (capabilities,) = await client.ok(b"CAPABILITY")
    assert b"STARTTLS" in capabilities
    assert b"LOGINDISABLED" in capabilities
    assert b"AUTH=" not in capabilities
    assert (await client.refused(LOGIN)).startswith(b"NO [PRIVACYREQUIRED]")
    assert (await client.refused(b"AUTHENTICATE PLAIN " + RESPONSE)).startswith(b"NO [PRIVACYREQUIRED]")
    assert await site.store.count_accounts() == 0


async def test_starttls_makes_a_login_possible(site: ImapSite) -> None:
    client = await site.connect(is_secure=False)
    await client.ok(b"STARTTLS")
    await start_tls(site, client)

    (capabilities,) = await client.ok(b"CAPABILITY")
    assert b"STARTTLS" not in capabilities
    assert b"LOGINDISABLED" not in capabilities
    await client.log_in()
    assert (await client.refused(b"STARTTLS")).startswith(b"BAD")


async def test_nothing_sent_before_tls_is_obeyed_in_it(site: ImapSite) -> None:
    client = await site.connect(is_secure=False)
    client.send(b"s1 STARTTLS\r\ns2 CAPABILITY\r\ns3 NOOP\r\n")
    assert await client.line() == b"s1 OK Begin TLS now"
    await start_tls(site, client)

    client.send(b"s4 NOOP\r\n")
    assert await client.line() == b"s4 OK Nothing done"


async def test_half_a_command_sent_before_tls_does_not_join_one_in_it(site: ImapSite) -> None:
    client = await site.connect(is_secure=False)
    client.send(b"s1 STARTTLS\r\ns2 LOGIN {5+}\r\nab")
    assert await client.line() == b"s1 OK Begin TLS now"
    await start_tls(site, client)

    client.send(b"s4 NOOP\r\n")
    assert await client.line() == b"s4 OK Nothing done"


async def test_failed_handshake_ends_the_connection(site: ImapSite) -> None:
    client = await site.connect(is_secure=False)
    await client.ok(b"STARTTLS")
    client.send(b"a2 NOOP\r\n" * 100)

    assert b"OK" not in await client.rest()
    await until(lambda: site.server.session_count == 0)


async def test_login_tells_the_capabilities_of_users(site: ImapSite) -> None:
    client = await site.connect()
    completion = (await client.ask(LOGIN))[-1]

    assert completion.startswith(b"OK [CAPABILITY IMAP4rev1 ")
    for name in b"IDLE MOVE QUOTA METADATA UIDPLUS NAMESPACE UNSELECT ENABLE ID LITERAL+".split():
        assert b" " + name in completion
    assert b"COMPRESS" not in completion
    assert b"CONDSTORE" not in completion
    assert (await client.refused(LOGIN)).startswith(b"BAD")


@pytest.mark.parametrize(
    "login",
    [
        b'LOGIN "%s" "%s"' % (ALICE.encode(), PASSWORD.encode()),
        b"login {%d+}\r\n%s {%d+}\r\n%s" % (len(ALICE), ALICE.encode(), len(PASSWORD), PASSWORD.encode()),
        b"AUTHENTICATE PLAIN " + RESPONSE,
        b"authenticate plain " + base64.b64encode(f"{ALICE}\0{ALICE}\0{PASSWORD}".encode()),
    ],
)
async def test_every_way_to_log_in_leads_to_the_account(site: ImapSite, login: bytes) -> None:
    await site.deliver(SIMPLE)
    client = await site.connect()
    await client.ok(login)

    assert b"* 1 EXISTS" in await client.ok(b"SELECT INBOX")


async def test_sasl_response_may_come_when_it_is_asked_for(site: ImapSite) -> None:
    client = await site.connect()
    client.send(b"s1 AUTHENTICATE PLAIN\r\n")
    assert await client.line() == b"+ "
    client.send(RESPONSE + b"\r\n")

    assert (await client.line()).startswith(b"s1 OK [CAPABILITY")


@pytest.mark.parametrize("response", [b"*", b"====", b"aGVsbG8=", b"\xff\xfe", b""])
async def test_broken_sasl_response_is_bad(site: ImapSite, response: bytes) -> None:
    client = await site.connect()
    client.send(b"s1 AUTHENTICATE PLAIN\r\n" + response + b"\r\n")

    assert await client.line() == b"+ "
    assert (await client.line()).startswith(b"s1 BAD")
    await client.ok(b"NOOP")


async def test_unknown_mechanism_is_refused(site: ImapSite) -> None:
    client = await site.connect()

    assert (await client.refused(b"AUTHENTICATE CRAM-MD5")).startswith(b"NO")


async def test_nobody_may_act_for_others(site: ImapSite) -> None:
    client = await site.connect()
    response = base64.b64encode(f"bob@example.org\0{ALICE}\0{PASSWORD}".encode())

    assert (await client.refused(b"AUTHENTICATE PLAIN " + response)).startswith(b"NO [AUTHENTICATIONFAILED]")


async def test_wrong_password_is_told_as_such_until_it_ends_the_session(site: ImapSite) -> None:
    await site.account()
    client = await site.connect()
    for _ in range(4):
        completion = await client.refused(f"LOGIN {ALICE} wrong-password".encode())
        assert completion.startswith(b"NO [AUTHENTICATIONFAILED]")
    client.send(f"s5 LOGIN {ALICE} wrong-password\r\n".encode())

    assert (await client.rest()).startswith(b"* BYE")


async def test_password_that_is_no_text_is_a_wrong_one(site: ImapSite) -> None:
    client = await site.connect()

    assert (await client.refused(b'LOGIN a@example.org "\xff\xfe"')).startswith(b"NO [AUTHENTICATIONFAILED]")


async def test_trouble_of_ours_is_not_told_as_a_wrong_password(site: ImapSite) -> None:
    await site.account()
    site.store.is_available = False
    client = await site.connect()
    completion = await client.refused(LOGIN)

    assert completion.startswith(b"NO [UNAVAILABLE]")
    assert b"authentication" not in completion.lower()


async def test_closed_registration_lets_known_accounts_in_and_others_not(site: ImapSite) -> None:
    await site.account()
    site.accounts.policy.current = Policy(registration_open=False)
    await site.user()
    client = await site.connect()

    assert (await client.refused(b"LOGIN carol567@example.org long-enough-password")).startswith(b"NO [AUTH")


async def test_ban_ends_the_sessions_of_an_account_and_of_no_other(site: ImapSite) -> None:
    client = await site.reader()
    other = await site.reader("bobby123@example.org")
    client.send(b"i1 IDLE\r\n")
    assert await client.line() == b"+ idling"
    await site.accounts.change_ban(ALICE, is_banned=True)

    assert (await client.line()).startswith(b"* BYE")
    assert await client.rest() == b""
    await other.ok(b"NOOP")
    again = await site.connect()
    assert (await again.refused(LOGIN)).startswith(b"NO [AUTHENTICATIONFAILED]")


@pytest.mark.parametrize(
    "command",
    [
        b"SELECT INBOX",
        b'LIST "" *',
        b"IDLE",
        b"GETQUOTAROOT INBOX",
        b"NAMESPACE",
        b"ENABLE X",
        b"FETCH 1 ALL",
    ],
)
async def test_users_commands_need_a_login(site: ImapSite, command: bytes) -> None:
    client = await site.connect()

    assert (await client.refused(command)).startswith(b"BAD")


@pytest.mark.parametrize(
    "command", [b"FETCH 1 ALL", b"CLOSE", b"EXPUNGE", b"CHECK", b"UNSELECT", b"SEARCH ALL"]
)
async def test_commands_on_messages_need_a_mailbox(site: ImapSite, command: bytes) -> None:
    client = await site.user()

    assert (await client.refused(command)).startswith(b"BAD")


async def test_logout_says_goodbye(site: ImapSite) -> None:
    client = await site.user()
    client.send(b"q LOGOUT\r\nq2 NOOP\r\n")

    assert await client.rest() == b"* BYE See you\r\nq OK Logged out\r\n"


async def test_any_valid_tag_comes_back(site: ImapSite) -> None:
    client = await site.connect()
    for tag in (b"1", b"a.b-c", b"!#$&'", b"A" * 100, b"]x[", b"~@^`|;:<>?/,=_"):
        client.send(tag + b" NOOP\r\n")
        assert await client.line() == tag + b" OK Nothing done"


async def test_client_without_tls_on_the_tls_port_does_no_harm(site: ImapSite) -> None:
    reader, writer = await asyncio.open_connection(HOST, site.tls_port)
    writer.write(b"a1 NOOP\r\n")
    with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
        await reader.readexactly(100)
    writer.close()
    await (await site.connect()).ok(b"NOOP")
