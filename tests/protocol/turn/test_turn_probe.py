"""`turnnode probe` as people and monitoring run it: processes that call one another through a node."""

import asyncio
import json
import os
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.turn_client import TurnCredential
from support.turn_server import SECRET, LoopbackServer, running, wait_until
from turnnode.errors import ProbeFailedError
from turnnode.probe.addresses import list_urls, try_addresses
from turnnode.relay.policy import Quotas, RelayPolicy

pytestmark = pytest.mark.anyio

START = "import typer, turnnode.probe.command as c; typer.run(c.probe)"
SHORT = ["--seconds", "1", "--packets-per-second", "50"]


async def start(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", START, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )


async def run(*arguments: str) -> tuple[int, str, str]:
    process = await start(*arguments)
    out, err = await process.communicate()
    return await process.wait(), out.decode(), " ".join(err.decode().split())


def credentials(secret: str = SECRET, ends_in: int = 3600) -> Sequence[str]:
    made = TurnCredential.made(secret, time.time() + ends_in)
    return "--username", made.username, "--password", made.password


def assert_nothing_is_lost(result: dict[str, object], data_packets: int) -> None:
    assert result["loss_percent"] == 0
    for direction in ("there", "back"):
        way = result[direction]
        assert isinstance(way, dict)
        assert way["data_sent"] == data_packets
        assert way["data_lost"] == way["audio_lost"] == 0
        assert way["audio_received"] > 0


async def test_call_in_one_process_is_measured(tmp_path: Path) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text(f"{SECRET}\n")
    async with running(LoopbackServer()) as node:
        status, out, err = await run(node.url, "--secret-file", str(secret_file), "--json", *SHORT)

    assert (status, err) == (0, "")
    result = json.loads(out)
    assert_nothing_is_lost(result, data_packets=50)
    assert (result["local_candidate"], result["remote_candidate"]) == ("relay", "relay")
    assert set(result["rtt_ms"]) == {"p50", "p95", "p99", "max"}


async def test_two_processes_call_one_another_over_lines() -> None:
    async with running(LoopbackServer()) as node:
        arguments = [node.url, *credentials(), *SHORT, "--role"]
        caller, callee = await start(*arguments, "offer"), await start(*arguments, "answer")
        assert caller.stdout and caller.stdin and callee.stdout and callee.stdin  # noqa: PT018 - for the types
        callee.stdin.write(await caller.stdout.readline())
        caller.stdin.write(await callee.stdout.readline())
        callee.stdin.write(await caller.stdout.readline())
        caller.stdin.write(await callee.stdout.readline())
        result = json.loads(await caller.stdout.readline())
        assert [await caller.wait(), await callee.wait()] == [0, 0]

    assert result["type"] == "result"
    assert_nothing_is_lost(result, data_packets=50)


async def test_wrong_credentials_end_with_code_1_and_the_remedy() -> None:
    async with running(LoopbackServer()) as node:
        status, _, err = await run(node.url, *credentials("wrong"), "--deadline-seconds", "1")

    assert status == 1
    assert "refuses the credentials. Compare its secret and the clocks" in err
    assert "Traceback" not in err


async def test_node_without_a_free_port_is_named_with_the_remedy() -> None:
    policy = RelayPolicy(realm="r", secrets=(SECRET,), quotas=Quotas(allocations=0))
    async with running(LoopbackServer(policy=policy)) as node:
        status, _, err = await run(node.url, *credentials(), "--deadline-seconds", "1")

    assert status == 1
    assert "has no relay port left. Raise its port range or quota" in err


async def test_more_loss_than_allowed_ends_with_code_1() -> None:
    now = [time.time()]
    async with running(LoopbackServer(clock=lambda: now[0])) as node:
        process = await start(node.url, *credentials(), "--seconds", "3", "--json")
        await wait_until(lambda: node.server.counters.packets_hairpinned > 100)
        now[0] += 3600  # the credentials end in the middle of the call
        out, err = await process.communicate()

    assert await process.wait() == 1
    assert json.loads(out)["loss_percent"] > 1
    assert b"were lost, more than 1 %" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["turn:127.0.0.1:9"], "Give --username and --password, or --secret-file."),
        (["turn:127.0.0.1:9", "--secret-file", os.devnull + "/none"], "cannot be read. Check its name"),
        (["http://example.org", "--username", "1", "--password", "x"], "Write turn:HOST:PORT."),
        (["turns:example.org", "--username", "1", "--password", "x"], "is not TURN over UDP"),
    ],
)
async def test_wrong_usage_ends_with_code_1_and_the_remedy(arguments: list[str], sentence: str) -> None:
    status, out, err = await run(*arguments)

    assert (status, out) == (1, "")
    assert sentence in err


@pytest.mark.parametrize("line", [b"no JSON\n", b"[]\n", b'{"type": "answer", "sdp": "v=0"}\n', b""])
async def test_callee_that_hears_no_offer_says_so(line: bytes) -> None:
    process = await start("turn:127.0.0.1:9", *credentials(), "--role", "answer")
    out, err = await process.communicate(line)

    assert (await process.wait(), out) == (1, b"")
    assert b"The other side" in err
    assert b"Traceback" not in err


async def test_each_address_says_whether_it_works() -> None:
    made = TurnCredential.made(SECRET, time.time() + 3600)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        dead = f"turn:127.0.0.1:{silent.getsockname()[1]}"
        async with running(LoopbackServer()) as node:
            url = node.url
            good, bad = await try_addresses([url, dead], made.username, made.password)

    assert (good.url, good.problem) == (url, None)
    assert good.as_text().startswith(f"working  {url} allocates after ")
    assert bad.allocated_ms is None
    assert bad.as_text().startswith(f"dead     {dead} does not answer. Check that it runs")


@pytest.mark.parametrize(
    ("url", "urls"),
    [
        ("turn:192.0.2.1", ["turn:192.0.2.1:3478"]),
        ("turn:[2001:db8::1]:443", ["turn:[2001:db8::1]:443"]),
    ],
)
def test_address_stands_for_itself(url: str, urls: list[str]) -> None:
    assert list_urls(url) == urls


def test_name_without_an_address_is_refused_in_a_sentence() -> None:
    with pytest.raises(ProbeFailedError, match=r"nobody\.invalid has no address: .* Check the name"):
        list_urls("turn:nobody.invalid:3478")
