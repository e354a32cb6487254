"""Test calls by `turnnode probe`, between clients in different namespaces."""

import json
import re
import subprocess
from typing import Any

from support.lab import PROGRAMS, LabFleet
from support.mail_clients import open_imap

TURN_ENTRY = re.compile(rb"([a-z0-9.]+):([0-9]+):([0-9]{9,}):([A-Za-z0-9+/=]+)")
SURPLUS_SECONDS = 60
PROBE = (str(PROGRAMS / "turnnode"), "probe")


def read_credentials(fleet: LabFleet, address: str, password: str) -> list[str]:
    """Log in by IMAP and read the TURN credentials, as arguments of a probe."""

    def ask() -> bytes:
        client = open_imap(address, password)
        client.send(b'q1 GETMETADATA "" /shared/vendor/deltachat/turn\r\n')
        answer = b""
        while not answer.endswith(b"completed\r\n") and b"\r\nq1 " not in b"\r\n" + answer:
            answer += client.readline()
        client.shutdown()
        return answer

    found = TURN_ENTRY.search(fleet.network.call("a", ask))
    assert found is not None
    host, port, username, secret = (group.decode() for group in found.groups())
    return [f"turn:{host}:{port}", "--username", username, "--password", secret]


def call_between(
    fleet: LabFleet,
    caller: list[str],
    callee: list[str],
    *,
    policy: str,
    seconds: int,
    packets_per_second: int,
) -> dict[str, Any]:
    """Let namespace a call namespace b, each with credentials of its own; return what the caller measured."""
    load = ["--seconds", str(seconds), "--packets-per-second", str(packets_per_second), "--policy", policy]
    return hold_call(
        fleet.network.command("a", *PROBE, *caller, *load),
        fleet.network.command("b", *PROBE, *callee, *load),
        within_seconds=seconds + SURPLUS_SECONDS,
    )


def hold_call(caller: list[str], callee: list[str], *, within_seconds: float) -> dict[str, Any]:
    """Let one probe call another, by their command lines; return what the caller measured."""
    answering = subprocess.Popen(
        [*callee, "--role", "answer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert answering.stdin is not None
    offering = subprocess.Popen(
        [*caller, "--role", "offer"],
        stdin=answering.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert answering.stdout is not None
    assert offering.stdout is not None
    answering.stdout.close()  # the caller has it now
    said = b""
    with answering.stdin as to_callee:
        for said in offering.stdout:
            if said.startswith(b'{"type"'):
                to_callee.write(said)
                to_callee.flush()
    answering.stdin = answering.stdout = None
    complaints = b"".join(process.communicate(timeout=within_seconds)[1] for process in (offering, answering))
    assert offering.returncode == 0, complaints.decode()
    result: dict[str, Any] = json.loads(said)
    return result
