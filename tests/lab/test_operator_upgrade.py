"""Upgrade and going back, while people write, wait and call."""

import tarfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from support.clocks import wait_until
from support.deployed_fleet import ROOT, Knocking, PlaybookError, deploy, run_on
from support.lab import LabFleet
from support.lab_load import PHONES, open_load
from wheels import Members, write_archive

pytestmark = [pytest.mark.lab, pytest.mark.netns]

IMAPS = 993
RETURN_SECONDS = 60


@pytest.fixture
def other_bundle(tmp_path: Path) -> Path:
    """Another release of the mail node: the same wheels, and one file more."""
    members: Members = {}
    with tarfile.open(ROOT / "dist/bundles/mailnode-x86_64.tar.gz") as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            assert file is not None
            members[entry.name] = (file.read(), entry.mode)
    bundle = tmp_path / "mailnode.tar.gz"
    write_archive(bundle, {**members, "another": (b"release", 0o644)})
    return bundle


def read_release() -> str:
    return run_on("mail1", "basename $(readlink /opt/madfleet/mailnode/current)")


def is_replaced(fleet: LabFleet, process: str) -> bool:
    """Tell whether another process than that one serves."""
    now = fleet.process("mail1")
    return now != process and "ActiveState=active" in now


def test_upgrade_and_going_back_lose_nothing_and_refuse_nobody(
    fleet: LabFleet, other_bundle: Path, show: Callable[[str], None]
) -> None:
    old = read_release()
    upgrade = ["--limit", "mail1", "--tags", "upgrade"]
    with open_load(fleet) as load:
        deploy(*upgrade, "-e", f"mailnode_bundle={other_bundle}")
        new = read_release()
        wait_until(lambda: load.waiting_phones == PHONES, RETURN_SECONDS)
        deploy(*upgrade, "-e", f"mailnode_release={old}")
        wait_until(lambda: load.waiting_phones == PHONES, RETURN_SECONDS)
    found = fleet.network.call("a", load.count_received)
    show(
        f"upgrade and back: {len(load.acknowledged)} messages acknowledged, clients saw {dict(load.outcomes)}"
    )

    assert (new != old, read_release()) == (True, old)
    assert found == Counter(load.acknowledged)
    assert not any(name.endswith("refused") for name in load.outcomes)
    assert load.outcomes["phone: hung up on"] >= 2 * PHONES


@pytest.mark.parametrize("command", ["systemctl restart mailnode", "systemctl kill --signal=KILL mailnode"])
def test_a_new_process_refuses_no_connection(
    fleet: LabFleet, command: str, show: Callable[[str], None]
) -> None:
    with Knocking("mail1", IMAPS) as client:
        for _ in range(3):
            process = fleet.process("mail1")
            run_on("mail1", command)
            wait_until(partial(is_replaced, fleet, process), RETURN_SECONDS)
            time.sleep(0.5)

    assert client.outcomes["refused"] == 0
    assert client.outcomes["greeted"] > 10
    show(f"{command}, three times: {dict(client.outcomes)}")


def test_a_release_that_the_host_does_not_have_is_refused_in_a_sentence() -> None:
    with pytest.raises(PlaybookError, match="This host has no release 0123456789abcdef"):
        deploy("--limit", "mail1", "-e", "mailnode_release=0123456789abcdef")
