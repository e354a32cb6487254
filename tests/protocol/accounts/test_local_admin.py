"""The local admin as an operator meets it: commands and lines over the socket of a running node."""

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.errors import LoginRefusedError
from mailnode.accounts.overrides import LocalOverrides
from mailnode.local_admin.client import ask
from mailnode.local_admin.commands import build_commands
from mailnode.local_admin.errors import LocalAdminError
from mailnode.local_admin.requests import MAX_LINE_BYTES
from mailnode.local_admin.server import SOCKET_NAME, LocalAdminServer
from support.store_accounts import CLIENT, DOMAIN, PASSWORD, make_accounts
from support.store_mail import deliver
from support.store_memory import MemoryMailStore

pytestmark = pytest.mark.anyio
ALICE = f"alice@{DOMAIN}"


@dataclass
class Node:
    accounts: Accounts
    store: MemoryMailStore
    overrides: LocalOverrides
    directory: Path

    async def run(self, *arguments: str, given: str = "") -> Result:
        """Run a command as an operator would, in a thread, for the commands know no event loop."""
        app = build_commands(lambda: self.directory)
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, arguments, input=given))

    async def run_well(self, *arguments: str, given: str = "") -> str:
        result = await self.run(*arguments, given=given)
        assert result.exit_code == 0, result.output
        return result.output

    async def talk(self, *pieces: bytes) -> bytes:
        """Send pieces, each by itself, and read until the node has nothing to say any more."""
        reader, writer = await asyncio.open_unix_connection(str(self.directory / SOCKET_NAME))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.write_eof()
        try:
            return await reader.read()
        finally:
            writer.close()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    store = MemoryMailStore()
    accounts = make_accounts(store)
    overrides = LocalOverrides(state_directory=tmp_path, policy=accounts.policy)
    async with AsyncExitStack() as stack:
        stack.enter_context(capture_logs())  # the runner of commands takes this process's standard output
        server = LocalAdminServer(
            accounts=accounts,
            store=store,
            overrides=overrides,
            status=lambda: {"control_plane": "away", "applied_revision": 7},
            directory=tmp_path,
        )
        await server.start(stack)
        yield Node(accounts, store, overrides, tmp_path)


async def test_only_the_owner_may_open_the_socket(node: Node) -> None:
    mode = (node.directory / SOCKET_NAME).stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_created_account_is_listed_and_can_log_in(node: Node) -> None:
    created = json.loads(await node.run_well("accounts", "create", "--json"))
    await node.run_well("accounts", "create", ALICE, "--password-stdin", given=f"{PASSWORD}\n")

    assert (await node.accounts.log_in(created["address"], created["password"], CLIENT)).id
    assert (await node.accounts.log_in(ALICE, PASSWORD, CLIENT)).id
    listed = json.loads(await node.run_well("accounts", "list", "--json"))
    assert {row["address"] for row in listed} == {ALICE, created["address"]}
    table = await node.run_well("accounts", "list", "--after", "", "--limit", "1")
    assert table.splitlines()[0].split() == ["ADDRESS", "QUOTA", "BANNED", "CREATED", "LAST", "LOGIN"]
    assert len(table.splitlines()) == 2


async def test_account_is_shown_with_what_it_holds(node: Node) -> None:
    account = await node.accounts.create(ALICE, PASSWORD)
    await deliver(node.store, account)

    shown = json.loads(await node.run_well("accounts", "show", ALICE, "--json"))

    assert (shown["size_bytes"], shown["message_count"], shown["is_banned"]) == (100, 1, False)
    assert "quota" in await node.run_well("accounts", "show", ALICE)


async def test_deleted_account_is_gone(node: Node) -> None:
    await node.accounts.create(ALICE, PASSWORD)

    assert (await node.run("accounts", "delete", ALICE, given="n\n")).exit_code == 1
    assert await node.store.find_account(ALICE) is not None
    await node.run_well("accounts", "delete", ALICE, "--yes")

    assert await node.store.find_account(ALICE) is None


async def test_changed_password_is_printed_and_holds(node: Node) -> None:
    await node.accounts.create(ALICE, PASSWORD)

    changed = json.loads(await node.run_well("accounts", "password", ALICE, "--json"))

    with pytest.raises(LoginRefusedError):
        await node.accounts.log_in(ALICE, PASSWORD, CLIENT)
    await node.accounts.log_in(ALICE, changed["password"], CLIENT)


async def test_ban_shuts_out_and_unban_lets_in(node: Node) -> None:
    await node.accounts.create(ALICE, PASSWORD)

    await node.run_well("ban", ALICE)
    with pytest.raises(LoginRefusedError):
        await node.accounts.log_in(ALICE, PASSWORD, CLIENT)
    await node.run_well("unban", ALICE)

    await node.accounts.log_in(ALICE, PASSWORD, CLIENT)


async def test_quota_of_one_account_is_set_shown_and_cleared(node: Node) -> None:
    await node.accounts.create(ALICE, PASSWORD)

    await node.run_well("quota", "set", ALICE, "--size", "500M")
    shown = json.loads(await node.run_well("quota", "show", ALICE, "--json"))
    assert (shown["quota_bytes"], shown["has_own_quota"]) == (500 << 20, True)
    assert "500.0 MiB" in await node.run_well("quota", "show", ALICE)

    await node.run_well("quota", "clear", ALICE)
    assert not json.loads(await node.run_well("quota", "show", ALICE, "--json"))["has_own_quota"]


async def test_default_quota_is_overridden_until_cleared(node: Node) -> None:
    await node.run_well("quota", "set", "--default", "--size", "1G")
    shown = json.loads(await node.run_well("quota", "show", "--default", "--json"))
    assert shown == {"quota_bytes": 1 << 30, "overridden": ["quota_bytes"]}
    assert node.accounts.policy.current.quota_bytes == 1 << 30

    await node.run_well("quota", "clear", "--default")
    assert node.overrides.current.quota_bytes is None


@pytest.mark.parametrize(
    ("command", "is_open", "is_jit"),
    [("open", True, True), ("close", False, True), ("jit-on", True, True), ("jit-off", True, False)],
)
async def test_registration_is_switched_at_once(
    node: Node,
    command: str,
    is_open: bool,
    is_jit: bool,
) -> None:
    shown = json.loads(await node.run_well("registration", command, "--json"))

    assert (shown["registration_open"], shown["jit_enabled"]) == (is_open, is_jit)
    policy = node.accounts.policy.current
    assert (policy.registration_open, policy.jit_enabled) == (is_open, is_jit)
    assert json.loads(await node.run_well("registration", "show", "--json")) == shown
    assert "overridden" in await node.run_well("registration", "clear")
    assert node.accounts.policy.current.registration_open


async def test_message_size_is_set_and_cleared(node: Node) -> None:
    given = node.accounts.policy.current.message_bytes
    await node.run_well("message-size", "set", "--size", "5M")
    assert node.accounts.policy.current.message_bytes == 5 << 20
    assert "5.0 MiB" in await node.run_well("message-size", "show")

    await node.run_well("message-size", "clear")
    assert node.accounts.policy.current.message_bytes == given


async def test_status_names_what_is_overridden(node: Node) -> None:
    await node.run_well("registration", "close")

    status = json.loads(await node.run_well("status", "--json"))

    assert status["control_plane"] == "away"
    assert (status["accounts"], status["sessions"]) == (0, 0)
    assert status["overridden"] == ["registration_open"]
    assert "registration_open" in await node.run_well("status")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["accounts", "show", ALICE], "There is no account of this address."),
        (["ban", "alice@other.org"], "This address is not one of this server."),
        (["accounts", "create", f"root@{DOMAIN}"], "reserved"),
        (["accounts", "create", ALICE, "--password-stdin"], "A password has 9 to 1024 characters."),
    ],
)
async def test_refusal_is_said_in_words(node: Node, arguments: list[str], text: str) -> None:
    result = await node.run(*arguments, given="short\n")

    assert result.exit_code == 1
    assert text in result.output


async def test_second_account_of_one_address_is_refused(node: Node) -> None:
    await node.run_well("accounts", "create", ALICE)

    result = await node.run("accounts", "create", ALICE)

    assert (result.exit_code, result.output) == (1, "There is an account of this address already.\n")


@pytest.mark.parametrize("arguments", [["quota", "show"], ["quota", "show", ALICE, "--default"]])
async def test_quota_commands_need_one_target(node: Node, arguments: list[str]) -> None:
    result = await node.run(*arguments)

    assert result.exit_code == 2
    assert "name an address, or say --default" in result.output


async def test_wrong_size_is_explained(node: Node) -> None:
    result = await node.run("quota", "set", "--default", "--size", "much")

    assert result.exit_code == 2
    assert "500M" in result.output


async def test_store_trouble_is_told(node: Node) -> None:
    node.store.is_available = False

    result = await node.run("accounts", "list")

    assert (result.exit_code, result.output) == (1, "The mail store cannot do this now; the log says why.\n")


async def test_missing_daemon_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(LocalAdminError, match=r"mailnode is not running, .* Start it"):
        ask(tmp_path, {"command": "show_status"})


async def test_dead_socket_is_told_with_the_remedy_and_replaced_at_start(
    node: Node, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("dead")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(directory / SOCKET_NAME))
    with pytest.raises(LocalAdminError, match="Start it"):
        ask(directory, {"command": "show_status"})

    async with AsyncExitStack() as stack:
        server = make_server(node, directory)
        await server.start(stack)
        assert (await asyncio.to_thread(ask, directory, {"command": "show_status"}))["accounts"] == 0
    assert not (directory / SOCKET_NAME).exists()


def make_server(node: Node, directory: Path) -> LocalAdminServer:
    return LocalAdminServer(
        accounts=node.accounts, store=node.store, overrides=node.overrides, status=dict, directory=directory
    )


async def test_second_daemon_does_not_take_the_socket(node: Node) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(LocalAdminError, match="another mailnode answers there"):
            await make_server(node, node.directory).start(stack)

    assert (await asyncio.to_thread(ask, node.directory, {"command": "show_status"}))["accounts"] == 0


async def test_daemon_that_answers_nonsense_is_told(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(answer_nonsense, str(tmp_path / SOCKET_NAME))
    async with server:
        with pytest.raises(LocalAdminError, match="is no mailnode, or has broken off"):
            await asyncio.to_thread(ask, tmp_path, {"command": "show_status"})


async def answer_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"220 hello\n")
    writer.close()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET / HTTP/1.1\r",
        b"\xff\x00",
        b"{}",
        b"[]",
        b'{"command": "no such"}',
        b'{"command": "ban"}',
        b'{"command": "show_status", "extra": 1}',
        b'{"command": "change_ban", "address": "a@b", "is_banned": "yes"}',
        b'{"command": "list_accounts", "limit": 1001}',
        b'{"command": "change_settings", "quota_bytes": -1}',
    ],
)
async def test_garbage_gets_a_clear_error_and_the_node_goes_on(node: Node, line: bytes) -> None:
    answers = (await node.talk(line + b"\n" + b'{"command": "show_status"}\n')).splitlines()

    first, second = (json.loads(answer) for answer in answers)
    assert not first["ok"]
    assert first["error"].startswith("The request is not understood: ")
    assert second["ok"]


@pytest.mark.parametrize(("extra", "is_read"), [(-1, True), (0, True), (1, False)])
async def test_length_of_a_line_is_bounded(node: Node, extra: int, is_read: bool) -> None:
    request = b'{"command": "show_status"}'
    line = request + b" " * (MAX_LINE_BYTES + extra - len(request)) + b"\n"

    answer = json.loads((await node.talk(line)).splitlines()[0])

    assert answer["ok"] is is_read
    if not is_read:
        assert answer["error"] == f"The request is longer than {MAX_LINE_BYTES} bytes."


async def test_same_bytes_cut_anywhere_get_the_same_answers(node: Node) -> None:
    await node.accounts.create(ALICE, PASSWORD)
    stream = (
        b'{"command": "show_account", "address": "'
        + ALICE.encode()
        + b'"}\nnonsense\n{"command": "show_status"}\n'
    )
    whole = await node.talk(stream)

    for cut in range(1, len(stream)):
        assert await node.talk(stream[:cut], stream[cut:]) == whole
    assert await node.talk(*(bytes([byte]) for byte in stream)) == whole


async def test_half_a_line_is_no_request(node: Node) -> None:
    assert await node.talk(b'{"command": "show_status"}') == b""


async def test_end_of_the_node_ends_open_conversations(
    node: Node, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("other")
    async with AsyncExitStack() as stack:
        await make_server(node, directory).start(stack)
        reader, writer = await asyncio.open_unix_connection(str(directory / SOCKET_NAME))
        writer.write(b'{"command": "show_status"}\n')
        assert json.loads(await reader.readline())["ok"]

    assert await reader.read() == b""
    writer.close()
