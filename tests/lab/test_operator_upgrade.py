"""Upgrade and going back, while people write, wait and call."""

import tarfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from platform import machine

import pytest

from support.clocks import wait_until
from support.deployed_fleet import ROOT, Knocking, PlaybookError, deploy, run_on
from support.lab import LabFleet
from support.lab_load import PHONES, open_calls, open_load
from wheels import Members, write_archive

pytestmark = [pytest.mark.lab, pytest.mark.netns]

IMAPS = 993
HOSTS = {"mailnode": "mail1", "turnnode": "turn1"}
UPGRADE = ("--limit", "mail1,turn1", "--tags", "upgrade")
RETURN_SECONDS = 60


@pytest.fixture
def other_bundles(tmp_path: Path) -> dict[str, Path]:
    """Another release of each node: the same wheels, and one file more."""
    return {service: add_a_file(service, tmp_path) for service in HOSTS}


def add_a_file(service: str, folder: Path) -> Path:
    members: Members = {}
    with tarfile.open(ROOT / f"dist/bundles/{service}-{machine()}.tar.gz") as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            assert file is not None
            members[entry.name] = (file.read(), entry.mode)
    bundle = folder / f"{service}.tar.gz"
    write_archive(bundle, {**members, "another": (b"release", 0o644)})
    return bundle


def read_releases() -> dict[str, str]:
    """Read which release the process that runs is of, by service."""
    return {
        service: run_on(
            host, f"cut -d / -f 6 /proc/$(systemctl show {service} --value --property=MainPID)/cmdline"
        )
        for service, host in HOSTS.items()
    }


def is_replaced(fleet: LabFleet, process: str) -> bool:
    """Tell whether another process than that one serves."""
    now = fleet.process("mail1")
    return now != process and "ActiveState=active" in now


def test_upgrade_and_going_back_lose_nothing_and_refuse_nobody(
    fleet: LabFleet, other_bundles: dict[str, Path], show: Callable[[str], None]
) -> None:
    old = read_releases()
    with open_load(fleet) as load, open_calls() as calls:
        with calls.measure() as there:
            deploy(*UPGRADE, *(f"-e{service}_bundle={bundle}" for service, bundle in other_bundles.items()))
        new = read_releases()
        wait_until(lambda: load.waiting_phones == PHONES, RETURN_SECONDS)
        with calls.measure() as back:
            deploy(*UPGRADE, *(f"-e{service}_release={release}" for service, release in old.items()))
        wait_until(lambda: load.waiting_phones == PHONES, RETURN_SECONDS)
        still_granted = calls.refresh()
    found = fleet.network.call("a", load.count_received)
    show(
        f"upgrade and back: {len(load.acknowledged)} messages acknowledged, clients saw {dict(load.outcomes)}"
    )
    show(f"calls during the upgrade: {there}")
    show(f"calls during the way back: {back}")

    assert not set(new.values()) & set(old.values())
    assert read_releases() == old
    assert found == Counter(load.acknowledged)
    assert not any(name.endswith("refused") for name in load.outcomes)
    assert load.outcomes["phone: hung up on"] >= 2 * PHONES
    assert still_granted == [200] * len(still_granted)
    assert [(calls.lost, calls.refused) for calls in (there, back)] == [(0, 0)] * 2


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
