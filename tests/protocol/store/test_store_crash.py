"""What is left when the process is killed, or the disk is full for a while."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.store_crashes import TESTS, Said, check_promises, kill, write_until

pytestmark = pytest.mark.anyio
ROUNDS = 4


async def test_kill_loses_nothing_that_was_acknowledged_and_doubles_nothing(tmp_path: Path) -> None:
    said: list[Said] = []
    for round_ in range(ROUNDS):
        said += write_until(kill, tmp_path, round_)
    assert len({token for what, token in said if what == "added"}) > ROUNDS

    await check_promises(tmp_path, said, ROUNDS)


def test_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.store_full_disk", str(tmp_path)]

    done = subprocess.run(command, cwd=TESTS, capture_output=True, check=True, timeout=20)

    report = json.loads(done.stdout.decode().splitlines()[-1])
    assert report["small"] > 0
    assert report["small_refused"] > 0
    assert report["large"] == 0
    assert report["after_refused"] == 0
    assert report["stored"] == report["readable"] == report["expected"]
    assert report["used_bytes"] == report["size_bytes"]
    assert report["files"] == report["large_stored"] == 40
