"""The program itself: what it has taken is there after a kill, and its log names nobody."""

import asyncio
import json
import subprocess
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from mailnode.cli.main import app
from mailnode.exchange.tokens import digest_token
from mailnode.peering.waiting_mail import read_waiting
from support.openpgp_messages import encrypted_mail
from support.own_exchanger import OwnExchanger
from support.peering_site import find_free_port, next_address

KEPT, PASSED = "kept.example", "passed.example"
BOB = f"quixotica@{KEPT}"
SENDERS = 4


def mail(number: int, sender: int = 0) -> bytes:
    return bytes(encrypted_mail(message_id=f"wanderlust-{sender}-{number}@localhost"))


async def send_until_it_dies(exchanger: OwnExchanger, sender: int, taken: list[bytes]) -> None:
    number = 0
    async with exchanger.connect() as client:
        while True:
            message = mail(number := number + 1, sender)
            try:
                answer = await client.post("/mxdeliv", content=message, headers={"x-mail-to": BOB})
            except httpx.TransportError:
                return
            assert answer.status_code == 200
            taken.append(message)


async def fetch_all(exchanger: OwnExchanger) -> set[bytes]:
    found: set[bytes] = set()
    while messages := read_waiting((await exchanger.pull(KEPT)).content).messages:
        found |= {each.body for each in messages}
        await exchanger.acknowledge(KEPT, [each.id for each in messages])
    return found


def test_what_it_has_taken_is_there_after_a_kill(tmp_path: Path) -> None:
    exchanger = OwnExchanger(kept=(KEPT,), changes={"messages_per_minute": 0})
    taken: list[bytes] = []

    async def send(process: subprocess.Popen[bytes]) -> None:
        async with asyncio.TaskGroup() as group:
            for sender in range(SENDERS):
                group.create_task(send_until_it_dies(exchanger, sender, taken))
            while len(taken) < 20:  # noqa: ASYNC110 - all of them count
                await asyncio.sleep(0.01)
            process.kill()

    with exchanger.running(tmp_path, tmp_path / "log") as process:
        asyncio.run(send(process))
    with exchanger.running(tmp_path, tmp_path / "log"):
        found = asyncio.run(fetch_all(exchanger))

    assert found >= set(taken)
    assert len(found) <= len(taken) + SENDERS  # beside those whose answer was lost


def test_log_and_metrics_name_nobody(tmp_path: Path) -> None:
    log = tmp_path / "log"
    url = f"https://{next_address()}:{find_free_port()}/mxdeliv"  # nobody is there
    metrics_port = find_free_port()
    changes = {"log_level": "debug", "message_bytes": 1 << 16, "metrics_port": metrics_port}
    exchanger = OwnExchanger(kept=(KEPT,), forwarded={PASSED: url}, changes=changes)

    async def do_everything() -> list[str]:
        for to in (BOB, f"zephyrine@{PASSED}", "casanova@strangers.example"):
            await exchanger.post(mail(1), to, sender="montgolfier@faraway.example")
            await exchanger.post(
                b"Message-ID: <wanderlust@x>\r\n\r\nplain", to, sender="montgolfier@faraway.example"
            )
            await exchanger.post(b"x" * 70_000, to)
        listed = (await exchanger.pull(KEPT)).json()["messages"]
        await exchanger.pull(KEPT, token="mfx_wrong")
        await exchanger.pull(KEPT, path="/pull?domain=strangers.example")
        await exchanger.acknowledge(KEPT, "strangers.example")
        await exchanger.say(b"GET /quixotica HTTP/1.1\r\nhost: strangers.example\r\n\r\n")
        ids = [entry["id"].partition("-")[2] for entry in listed]
        await exchanger.acknowledge(KEPT, [entry["id"] for entry in listed])
        return ids

    with exchanger.running(tmp_path, log) as process:
        ids = asyncio.run(do_everything())
        metrics = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics", trust_env=False).text
        process.terminate()
        assert process.wait(10) == 0
    text = log.read_text()

    assert len(ids) == 1
    for figure in ("received_total 2.0", "refused_total 7.0", "fetched_total 1.0", "waiting_messages 1.0"):
        assert f"exchanger_{figure}\n" in metrics
    assert "daemon stopping" in text
    assert "request refused" in text
    assert "delivery failed" in text  # names the domain, which stands in the settings
    names = ("quixotica", "zephyrine", "montgolfier", "faraway", "strangers", "casanova", "wanderlust")
    for word in (*names, *ids, exchanger.tokens[KEPT], digest_token(exchanger.tokens[KEPT]), "127.0.0.1"):
        assert word not in text + metrics, word
    assert all("event" in json.loads(line) for line in text.splitlines())


def test_token_command_makes_what_both_sides_need() -> None:
    done = CliRunner().invoke(app, ["exchange", "token", "Kept.example"])

    token, setting = (line.strip() for line in done.stdout.splitlines()[1::2])
    assert setting == f"{KEPT}={digest_token(token)}"
    refused = CliRunner().invoke(app, ["exchange", "token", "no domain"])
    assert refused.exit_code == 2
    assert refused.stderr == "'no domain' is no mail domain; write one such as example.org or [192.0.2.1].\n"


def test_wrong_settings_end_it_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_KEPT", KEPT)

    done = CliRunner().invoke(app, ["exchange", "serve", "--check"])

    assert done.exit_code == 2
    assert "EXCHANGE_" in done.stderr
    assert done.stderr.count("\n") == 1
