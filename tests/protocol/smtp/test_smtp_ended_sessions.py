"""What a session took is free as soon as it has ended: a node that runs for months must not grow."""

import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailnode.smtp.session import SmtpSession
from support.clocks import until
from support.openpgp_messages import encrypted_mail
from support.smtp_site import SmtpSite, running_site

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[SmtpSite]:
    async with running_site(tmp_path) as site:
        yield site


def count_sessions() -> int:
    return sum(type(each) is SmtpSession for each in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("says_quit", [True, False])
async def test_ended_session_does_not_wait_for_the_collector(site: SmtpSite, says_quit: bool) -> None:
    client = await site.user()
    assert (await client.submit(bytes(encrypted_mail()))).code == 250
    assert count_sessions() == 1

    if says_quit:
        assert (await client.ask("QUIT")).code == 221
    client.writer.close()

    await until(lambda: count_sessions() == 0)


@pytest.mark.usefixtures("no_collector")
async def test_session_that_began_in_the_clear_does_not_either(site: SmtpSite) -> None:
    client = await site.greeted(is_secure=False)
    client.writer.close()

    await until(lambda: count_sessions() == 0)


@pytest.mark.usefixtures("no_collector")
async def test_connection_that_never_spoke_tls_does_not_either(site: SmtpSite) -> None:
    port, site.plain_port = site.plain_port, site.tls_port
    client = await site.connect(is_secure=False)
    site.plain_port = port
    client.send(b"EHLO [127.0.0.1]\r\n")
    await client.rest()

    await until(lambda: count_sessions() == 0)
