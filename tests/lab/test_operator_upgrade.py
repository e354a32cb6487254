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
from support.deployed_fleet import ROOT, UNITS, PlaybookError, deploy, run_on
from support.knocking import Knocking
from support.lab import LabFleet
from support.lab_load import MESSAGES_PER_SECOND, PHONES, open_calls, open_load
from wheels import Members, write_archive

pytestmark = [pytest.mark.lab, pytest.mark.netns]

HOSTS = {"controlplane": "control", "mailnode": "mail1", "turnnode": "turn1"}
NODES = ("mailnode", "turnnode")
NODES_UPGRADE = ("--limit", "mail1,turn1", "--tags", "upgrade")
CONTROL_UPGRADE = ("--limit", "control", "--tags", "upgrade")
DOORS = {"control": [80, 443], "mail1": [25, 80, 143, 443, 465, 587, 993]}
RETURN_SECONDS = 60
RESTARTS = 3


def make_other_bundle(service: str, folder: Path) -> Path:
    """Make another release: the same wheels, and one file more."""
    members: Members = {}
    with tarfile.open(ROOT / f"dist/bundles/{service}-{machine()}.tar.gz") as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            assert file is not None
            members[entry.name] = (file.read(), entry.mode)
    bundle = folder / f"{service}.tar.gz"
    write_archive(bundle, {**members, "another": (b"release", 0o644)})
    return bundle


def read_release(service: str) -> str:
    """Read which release the process that runs is of."""
    show = f"systemctl show {service} --value --property=MainPID"
    return run_on(HOSTS[service], f"cut -d / -f 6 /proc/$({show})/cmdline")


def is_replaced(fleet: LabFleet, host: str, process: str) -> bool:
    """Tell whether another process than that one serves."""
    now = fleet.process(host)
    return now != process and "ActiveState=active" in now


def check_doors(client: Knocking, ports: list[int], handovers: int) -> None:
    """At each port everybody was let in, but for whoever was inside when a process ended."""
    assert client.failures == Counter()
    assert all(client.hung_up[port] <= handovers for port in ports)
    assert all(client.greeted[port] > 10 for port in ports)


def test_upgrade_and_going_back_lose_nothing_and_refuse_nobody(
    fleet: LabFleet, tmp_path: Path, show: Callable[[str], None]
) -> None:
    old = {service: read_release(service) for service in NODES}
    bundles = [f"-e{service}_bundle={make_other_bundle(service, tmp_path)}" for service in NODES]
    with open_load(fleet) as load, open_calls() as calls:
        with calls.measure() as there:
            deploy(*NODES_UPGRADE, *bundles)
        new = {service: read_release(service) for service in NODES}
        wait_until(lambda: load.waiting_phones == PHONES, RETURN_SECONDS)
        with calls.measure() as back:
            deploy(*NODES_UPGRADE, *(f"-e{service}_release={release}" for service, release in old.items()))
        wait_until(lambda: load.waiting_phones == PHONES, RETURN_SECONDS)
        still_granted = calls.refresh()
    found = fleet.network.call("a", load.count_received)
    show(
        f"upgrade and back: {len(load.acknowledged)} messages, {load.messages_per_second:.0f} a second,"
        f" acknowledged; {load.hung_up.total()} sessions ended, other failures: {dict(load.failures)}"
    )
    show(f"calls during the upgrade: {there}")
    show(f"calls during the way back: {back}")

    assert not set(new.values()) & set(old.values())
    assert {service: read_release(service) for service in NODES} == old
    assert found == Counter(load.acknowledged)
    assert load.messages_per_second >= 0.9 * MESSAGES_PER_SECOND
    assert load.failures == Counter()
    assert [load.hung_up[f"phone {number}"] for number in range(PHONES)] == [2] * PHONES
    assert max(load.hung_up.values()) == 2
    assert still_granted == [200] * len(still_granted)
    assert [(calls.lost, calls.refused) for calls in (there, back)] == [(0, 0)] * 2


def test_upgrade_of_the_control_plane_and_going_back_refuse_nobody(
    fleet: LabFleet, tmp_path: Path, show: Callable[[str], None]
) -> None:
    old, bundle = read_release("controlplane"), make_other_bundle("controlplane", tmp_path)
    with Knocking("control", DOORS["control"]) as client:
        deploy(*CONTROL_UPGRADE, "-e", f"controlplane_bundle={bundle}")
        new = read_release("controlplane")
        deploy(*CONTROL_UPGRADE, "-e", f"controlplane_release={old}")
    show(f"upgrade of the control plane and back: {client}")

    assert new != old
    assert read_release("controlplane") == old
    check_doors(client, DOORS["control"], handovers=2)
    fleet.wait_until_ready()


@pytest.mark.parametrize("host", DOORS)
@pytest.mark.parametrize("command", ["restart", "kill --signal=KILL"])
def test_a_new_process_refuses_no_connection(
    fleet: LabFleet, host: str, command: str, show: Callable[[str], None]
) -> None:
    with Knocking(host, DOORS[host]) as client:
        for _ in range(RESTARTS):
            process = fleet.process(host)
            run_on(host, f"systemctl {command} {UNITS[host]}")
            wait_until(partial(is_replaced, fleet, host, process), RETURN_SECONDS)
            time.sleep(0.5)
    show(f"systemctl {command}, {host}, {RESTARTS} times: {client}")

    check_doors(client, DOORS[host], RESTARTS)
    fleet.wait_until_ready()


def test_a_release_that_the_host_does_not_have_is_refused_in_a_sentence() -> None:
    with pytest.raises(PlaybookError, match="This host has no release 0123456789abcdef"):
        deploy("--limit", "mail1", "-e", "mailnode_release=0123456789abcdef")
