"""A policy that changes while the kernel relays: whom it refuses gets nothing more, and others go on."""

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from support.clocks import wait_until
from support.kernel_network import CLIENT, PEER, KernelNetwork, KernelNode, open_kernel_network
from support.kernel_stream import CHANNEL, KERNEL_RUNGS, PACKETS, Stream, exchange, opened
from support.turn_program import LATER_PEERS_VARIABLE
from turnnode.kernel.rungs import Rung

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and programs in the kernel need root"),
]
REFUSED = "198.51.100.3"
ALLOWED = f"{PEER}/32"
STOP_SECONDS = 1


@pytest.fixture
def network() -> Iterator[KernelNetwork]:
    with open_kernel_network(f"tk-{os.getpid()}") as network:
        network.be_like_cards()
        network.ip("peer", "addr", "add", f"{REFUSED}/24", "dev", "p0")
        yield network


def by_signal(node: KernelNode) -> None:
    """Change the policy of the process; wait until it has done so."""
    os.kill(node.manager.main, signal.SIGHUP)
    wait_until(lambda: node.read_figure("kernel_flows") == 1, STOP_SECONDS)


def by_take_over(node: KernelNode) -> None:
    """Change the setting, as an operator does: the program is reloaded."""
    node.take_over(PEER_ALLOW=ALLOWED)
    assert node.read_figure("kernel_flows") == 1


def has_dropped(node: KernelNode, packets: float) -> bool:
    return node.read_figure("dropped_unpermitted") == packets


def nothing_arrives(node: KernelNode, refused: Stream) -> None:
    """Send both ways to no end, but that each packet is counted with its reason."""
    dropped = node.read_figure("dropped_unpermitted")
    for number in range(1, 2 * PACKETS + 1):
        refused.client.send(CHANNEL, b"there")
        refused.peer.sendto(b"back", refused.relay)
        wait_until(partial(has_dropped, node, dropped + 2 * number))
    for sock in (refused.client.socket, refused.peer):
        sock.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name
        with pytest.raises(BlockingIOError):
            sock.recv(100)


@pytest.mark.parametrize("change", [by_signal, by_take_over])
@pytest.mark.parametrize("rung", KERNEL_RUNGS)
def test_nothing_reaches_a_peer_that_is_refused_from_now_on(
    network: KernelNetwork,
    tmp_path: Path,
    rung: Rung,
    change: Callable[[KernelNode], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(LATER_PEERS_VARIABLE, ALLOWED)
    with opened(network, tmp_path, rung) as node:
        stream = Stream(network)
        refused = Stream(network, local=(CLIENT, 4002), peer=(REFUSED, 5002))
        before = node.read_figure("kernel_packets")
        exchange(refused.client, refused.peer, refused.relay)
        assert node.read_figure("kernel_packets") - before == 2 * PACKETS

        assert stream.lost_during(lambda: change(node), lambda: nothing_arrives(node, refused)) == 0
        before = node.read_figure("kernel_packets")
        stream.peer.settimeout(5)
        exchange(stream.client, stream.peer, stream.relay)
        assert node.read_figure("kernel_packets") - before == 2 * PACKETS
