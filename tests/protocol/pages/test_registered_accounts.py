"""What the HTTPS port hands out are real accounts, under the real rules."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.errors import LoginRefusedError
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.accounts.rate_limit import RateLimit
from mailnode.http.app import create_app
from mailnode.http.protocol import HttpServer
from support.pages_login_link import read_login_link
from support.pages_site import SITE
from support.pages_tls import LOOPBACK, LoopbackTls
from support.store_memory import MemoryMailStore

pytestmark = pytest.mark.anyio

BURST = 3


@dataclass(slots=True)
class Node:
    accounts: Accounts
    tls: LoopbackTls
    port: int

    async def ask_for_account(self) -> tuple[int, dict[str, str]]:
        """Post to `/new`; returns status and document."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port, ssl=self.tls.client())
        writer.write(
            b"POST /new HTTP/1.1\r\nHost: mail.example.org\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return int(head.split()[1]), json.loads(body)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    accounts = Accounts(
        store=MemoryMailStore(),
        policy=PolicyHolder(Policy(jit_enabled=False)),
        domain="example.org",
        hasher=PasswordHasher(memory_kib=8, time_cost=1),
        creation_limit=RateLimit(per_minute=1, burst=BURST),
    )
    tls = LoopbackTls(tmp_path)
    server = HttpServer(create_app(accounts=accounts, read_site=lambda: SITE))
    async with AsyncExitStack() as stack:
        await accounts.start(stack)
        port = await stack.enter_async_context(tls.listen(server.build_protocol))
        await server.start(stack)
        yield Node(accounts, tls, port)


async def test_account_can_log_in_with_what_its_link_says(node: Node) -> None:
    status, document = await node.ask_for_account()
    login = read_login_link(document["dclogin_url"])

    assert status == 200
    account = await node.accounts.log_in(login.address, login.password, LOOPBACK)
    assert account.address == document["email"]
    with pytest.raises(LoginRefusedError):
        await node.accounts.log_in(login.address, f"{login.password}x", LOOPBACK)


async def test_registrations_of_one_client_are_limited(node: Node) -> None:
    answers = [await node.ask_for_account() for _ in range(BURST + 1)]

    assert [status for status, _ in answers] == [200] * BURST + [503]
    assert len({document["email"] for _, document in answers[:BURST]}) == BURST


async def test_toggle_is_in_force_at_the_next_request(node: Node) -> None:
    statuses = []
    for is_open in (True, False, True):
        node.accounts.policy.current = replace(node.accounts.policy.current, registration_open=is_open)
        statuses.append((await node.ask_for_account())[0])

    assert statuses == [200, 403, 200]
