"""What a session took is free as soon as it has ended: a node that runs for months must not grow."""

import gc
from collections.abc import Awaitable, Callable

import pytest

from mailnode.imap.connection import ImapConnection
from mailnode.imap.session import Session
from support.clocks import until
from support.imap_server import SIMPLE, Client, ImapSite

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_collector")]


def count_sessions() -> int:
    return sum(type(each) in (ImapConnection, Session) for each in gc.get_objects())


async def leave_politely(client: Client) -> None:
    await client.ok(b"LOGOUT")


async def vanish(client: Client) -> None:
    client.writer.transport.abort()


@pytest.mark.parametrize("leave", [leave_politely, vanish])
async def test_session_that_has_ended_does_not_wait_for_the_collector(
    site: ImapSite, leave: Callable[[Client], Awaitable[None]]
) -> None:
    client = await site.reader()
    await site.deliver(SIMPLE)
    await client.ok(b"NOOP")
    await client.ok(b"FETCH 1 BODY[]")
    assert count_sessions() == 2

    await leave(client)
    client.writer.close()

    await until(lambda: count_sessions() == 0)


async def test_session_whose_command_is_at_work_when_its_client_goes_does_not_either(site: ImapSite) -> None:
    client = await site.reader()
    client.send(b"a IDLE\r\n")
    assert (await client.line()).startswith(b"+")
    client.writer.transport.abort()

    await until(lambda: count_sessions() == 0)
