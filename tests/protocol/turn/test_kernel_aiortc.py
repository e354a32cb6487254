"""Whole calls of aiortc, relay only, by every rung of the node's ladder."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from support.kernel_network import NODE, PORT, KernelNode, mounted_bpf, open_kernel_network
from support.turn_client import TurnCredential
from support.turn_process import PROGRAM
from support.turn_program import SECRET
from turnnode.kernel.rungs import LADDER, Rung

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and programs in the kernel need root"),
]
SECONDS = 1
PACKETS_PER_SECOND = 100


@pytest.mark.parametrize("rung", LADDER)
def test_call_goes_by_every_rung_and_loses_nothing(rung: Rung, tmp_path: Path) -> None:
    made = TurnCredential.made(SECRET, time.time() + 3600)
    with (
        open_kernel_network(f"ta-{os.getpid()}") as network,
        mounted_bpf(tmp_path / "bpf") as directory,
    ):
        network.be_like_cards()
        with KernelNode(network, tmp_path, DATA_PATH=rung, BPF_DIRECTORY=str(directory)) as node:
            ended = subprocess.run(
                [
                    *("ip", "netns", "exec", f"{network.name}-client", PROGRAM, "probe", "--json"),
                    *("--username", made.username, "--password", made.password),
                    *("--seconds", str(SECONDS), "--packets-per-second", str(PACKETS_PER_SECOND)),
                    f"turn:{NODE}:{PORT}",
                ],
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )
            assert ended.returncode == 0, ended.stderr
            in_kernel = 0.0 if rung is Rung.USERSPACE else node.read_figure("kernel_packets")
            in_userspace = node.read_figure("packets_hairpinned")
    result = json.loads(ended.stdout)
    sent = 2 * SECONDS * PACKETS_PER_SECOND  # each packet of data is sent back

    assert result["loss_percent"] == 0
    if rung is Rung.USERSPACE:
        assert in_userspace > sent
    else:
        assert in_kernel > sent > in_userspace
