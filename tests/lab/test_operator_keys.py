"""What an operator does with keys and backups, on deployed machines."""

import json
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest

from support.deployed_fleet import ROOT, PlaybookError, deploy, run_on

pytestmark = pytest.mark.lab

BACKUPS = "/var/backups/madfleet"
SOON_SECONDS = 60
RUN_SECONDS = 400
DEPLOY_CONTROL = ("--limit", "control", "--tags", "controlplane")


def read_keys() -> dict[str, object]:
    keys: dict[str, object] = json.loads(run_on("control", "madfleet signing-key --json"))
    return keys


def is_whole() -> bool:
    """Tell whether every node is well and has the newest key."""
    nodes = json.loads(run_on("control", "madfleet nodes --json"))
    standings = read_keys()["nodes"]
    assert isinstance(standings, dict)
    return set(standings.values()) == {"acknowledged"} and all(
        node["health"] == "ok" and node["applied_revision"] == node["revision"] for node in nodes
    )


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_SECONDS
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def take_backup() -> str:
    """Have the host's own service write a backup; return the newest one."""
    run_on("control", "systemctl start controlplane-backup.service")
    return run_on("control", f"ls {BACKUPS}").splitlines()[-1]


def test_backup_is_taken_by_the_timer_and_is_the_services_own() -> None:
    name = take_backup()

    assert run_on("control", f"stat --format='%a %U' {BACKUPS} {BACKUPS}/{name}").splitlines() == [
        "700 controlplane",
        "600 controlplane",
    ]
    assert run_on("control", "systemctl is-active controlplane-backup.timer") == "active"
    assert run_on("control", "systemctl is-enabled controlplane-backup.timer") == "enabled"
    run_on("control", "systemd-analyze security --no-pager --threshold=20 controlplane-backup.service")


def test_rotated_key_leaves_nothing_for_the_playbook_to_do() -> None:
    wait_until(is_whole)
    number = read_keys()["present_number"]
    assert isinstance(number, int)
    run_on("control", "madfleet rotate-signing-key")
    wait_until(lambda: read_keys()["present_number"] == number + 1)
    wait_until(is_whole)

    assert set(deploy("--tags", "node_enrolment").values()) == {0}  # all that a node is told of keys


def test_backup_from_before_a_rotation_comes_back_and_one_run_finds_every_node_again(
    tmp_path: Path, show: Callable[[str], None]
) -> None:
    name = take_backup()
    run_on("control", f"install -m 0600 {BACKUPS}/{name} /root/backup")
    backup = tmp_path / "backup"
    backup.write_bytes(read_file("control", "/root/backup"))
    run_on("control", "madfleet rotate-signing-key")
    wait_until(lambda: read_keys()["next"] is None)
    wait_until(is_whole)
    newer = read_keys()

    began_at = time.monotonic()
    deploy("-e", f"controlplane_restore_from={backup}")
    wait_until(is_whole)
    show(f"restore from before a rotation, by one run: {time.monotonic() - began_at:.0f} s")

    assert read_keys()["present"] != newer["present"]
    assert run_on("control", "ls /var/lib/controlplane/restore-from 2>&1 | grep -c cannot") == "1"
    assert set(deploy().values()) == {0}


def test_nothing_secret_passes_the_controller() -> None:
    """All that Ansible sees and sends, at its most talkative, while a node is enrolled for the first time."""
    run_on("control", "madfleet retire turn1")
    run_on("turn1", "systemctl stop turnnode; rm -r /var/lib/turnnode/node")
    ended = subprocess.run(
        [ROOT / "scripts/deploy.sh", ROOT / "inventories/lab", "--limit", "turn1", "-vvv"],
        capture_output=True,
        text=True,
        check=True,
        timeout=RUN_SECONDS,
    )
    wait_until(is_whole)

    secret = run_on("turn1", "sed 1d\\;\\$d /var/lib/turnnode/node/node-key.pem")
    public = run_on("turn1", "turnnode identity")
    assert len(secret) == 64
    assert secret not in ended.stdout + ended.stderr
    assert public in ended.stdout
    assert (
        run_on("control", f"grep -rlF {secret} /var/lib/controlplane /etc/madfleet || echo nowhere")
        == "nowhere"
    )


def test_schedule_that_is_none_is_refused_in_a_sentence_and_an_empty_one_takes_the_timer_away() -> None:
    with pytest.raises(PlaybookError, match="controlplane_backup_schedule is never ever, which is no time"):
        deploy(*DEPLOY_CONTROL, "-e", "controlplane_backup_schedule='never ever'")
    deploy(*DEPLOY_CONTROL, "-e", "controlplane_backup_schedule=")

    assert run_on("control", "ls /etc/systemd/system/controlplane-backup.* 2>&1 | grep -c cannot") == "1"
    deploy(*DEPLOY_CONTROL)
    assert run_on("control", "systemctl is-active controlplane-backup.timer") == "active"


def read_file(host: str, path: str) -> bytes:
    """Read a file that is no text."""
    encoded = run_on(host, f"base64 --wrap=0 {path}")
    return b64decode(encoded)
