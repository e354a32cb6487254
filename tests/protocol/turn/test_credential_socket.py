"""The line protocol of chatmail-turn, over a real Unix socket."""

import asyncio
import stat
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from nodelink.daemon.errors import HostError
from support.turn_client import RequestWriter, TurnClient, TurnCredential
from support.turn_server import SECRET, LoopbackServer, running
from turnnode.credential_socket import LIFETIME_SECONDS, MAX_AHEAD_SECONDS, CredentialSocket, next_expiry
from turnnode.relay.policy import RelayPolicy, RelayPolicyHolder

pytestmark = pytest.mark.anyio


async def read(path: Path) -> bytes:
    """Read as the relay's metadata service does: to the end."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


async def test_credential_of_the_socket_makes_a_call(tmp_path: Path) -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        await CredentialSocket(tmp_path / "turn.socket", node.policy).start(stack)
        line = await read(tmp_path / "turn.socket")

        username, _, password = line.decode().removesuffix("\n").partition(":")
        assert line.endswith(b"\n")
        assert abs(int(username) - time.time() - LIFETIME_SECONDS) < 10
        client = await stack.enter_async_context(TurnClient(node.address, "unknown"))
        client.writer = RequestWriter(TurnCredential(username, password))
        await client.allocate()


async def test_each_credential_is_another_one(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        policy = RelayPolicyHolder(RelayPolicy(realm="r", secrets=(SECRET,)))
        await CredentialSocket(tmp_path / "s", policy, calendar=lambda: 1_800_000_000.5).start(stack)
        lines = [await read(tmp_path / "s") for _ in range(3)]

        first = 1_800_000_000 + LIFETIME_SECONDS
        assert [int(line.partition(b":")[0]) for line in lines] == [first, first + 1, first + 2]


async def test_node_without_a_secret_hands_out_nothing(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await CredentialSocket(tmp_path / "s", RelayPolicyHolder(RelayPolicy(realm="r", secrets=()))).start(
            stack
        )

        assert await read(tmp_path / "s") == b""


async def test_newest_secret_makes_the_credentials_from_the_next_one_on(tmp_path: Path) -> None:
    async with running(LoopbackServer()) as node, AsyncExitStack() as stack:
        await CredentialSocket(tmp_path / "s", node.policy).start(stack)
        await read(tmp_path / "s")
        node.policy.replace(RelayPolicy(realm="example.org", secrets=("the next secret", SECRET)))
        username, _, password = (await read(tmp_path / "s")).decode().strip().partition(":")

        assert TurnCredential.made("the next secret", int(username)).password == password


async def test_successor_takes_the_path_over_and_the_former_process_leaves_it(tmp_path: Path) -> None:
    policy = RelayPolicyHolder(RelayPolicy(realm="r", secrets=(SECRET,)))
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as former:
            await CredentialSocket(tmp_path / "s", policy).start(former)
            await CredentialSocket(tmp_path / "s", policy).start(stack)
        assert await read(tmp_path / "s")
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
    assert not (tmp_path / "s").exists()


async def test_path_that_cannot_be_is_said_with_the_remedy(tmp_path: Path) -> None:
    policy = RelayPolicyHolder(RelayPolicy(realm="r", secrets=(SECRET,)))
    async with AsyncExitStack() as stack:
        with pytest.raises(HostError, match="set credential_socket"):
            await CredentialSocket(tmp_path / "nowhere" / "s", policy).start(stack)


@pytest.mark.parametrize(
    ("last", "longest", "expiry"),
    [
        (0, 10 * 86_400, LIFETIME_SECONDS),
        (LIFETIME_SECONDS, 10 * 86_400, LIFETIME_SECONDS + 1),
        (LIFETIME_SECONDS + MAX_AHEAD_SECONDS - 1, 10 * 86_400, LIFETIME_SECONDS + MAX_AHEAD_SECONDS),
        (LIFETIME_SECONDS + MAX_AHEAD_SECONDS, 10 * 86_400, LIFETIME_SECONDS),
        (0, 86_400, 86_400),
        (86_400, 86_400, 86_400),
    ],
)
def test_expiry_runs_ahead_by_a_day_at_most_and_never_beyond_the_policy(
    last: int, longest: int, expiry: int
) -> None:
    assert next_expiry(0, last, longest) == expiry
