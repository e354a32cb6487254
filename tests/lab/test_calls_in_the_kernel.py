"""TURN nodes of the deployed fleet relay by TC: what their metrics say beside what clients count."""

import re
import time
from collections.abc import Callable

import pytest

from support.deployed_fleet import run_on
from support.lab import LabFleet
from support.lab_load import open_calls
from turnnode.kernel.rungs import Rung, number_of

pytestmark = pytest.mark.lab

SECONDS = 5
READ = "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:9478/metrics\").read().decode())'"
KERNEL_SHARE = 0.7
"""Of all packets: three of the four flows have channels, the others travel by indications, in userspace."""


def read_metric(host: str, name: str) -> float:
    found = re.search(rf"^turnnode_{name}(?:_total)? (\S+)$", run_on(host, READ), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


@pytest.mark.parametrize("host", ["turn1", "turn2"])
def test_node_is_on_the_rung_that_was_ordered(fleet: LabFleet, host: str) -> None:
    fleet.wait_until_ready()

    assert read_metric(host, "kernel_rung") == number_of(Rung.TC)
    assert "tc@" in run_on(host, "ls /run/turnnode_bpf")


def test_packets_of_channels_go_through_the_kernel(fleet: LabFleet, show: Callable[[str], None]) -> None:
    fleet.wait_until_ready()
    with open_calls() as streams:
        before = read_metric("turn1", "kernel_packets")
        with streams.measure() as figures:
            time.sleep(SECONDS)
        relayed = read_metric("turn1", "kernel_packets") - before
    show(f"{relayed:.0f} packets relayed in the kernel while clients sent {figures.sent}; {figures}")

    assert figures.lost == 0
    assert relayed >= KERNEL_SHARE * figures.sent
