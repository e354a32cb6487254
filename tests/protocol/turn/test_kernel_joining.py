"""The kernel puts a sender's datagrams together (UDP_GRO) only where no program has to see each of them."""

import os
import socket
import sys
from pathlib import Path

import pytest

from support.kernel_network import (
    CLIENT,
    NODE,
    PEER,
    PORT,
    KernelClient,
    KernelNode,
    mounted_bpf,
    open_kernel_network,
)
from turnnode.kernel.rungs import LADDER, Rung

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and programs in the kernel need root"),
]
CHANNEL = 0x4001
BURST = 8
UDP_SEGMENT, UDP_GRO = 103, 104  # udp(7)


@pytest.mark.parametrize("rung", LADDER)
def test_datagrams_that_come_at_once_are_put_together_only_for_userspace(rung: Rung, tmp_path: Path) -> None:
    with (
        open_kernel_network(f"tj-{os.getpid()}") as network,
        mounted_bpf(tmp_path / "bpf") as directory,
        KernelNode(network, tmp_path, DATA_PATH=rung, BPF_DIRECTORY=str(directory)) as node,
    ):
        network.be_like_cards()
        for device in ("t0", "t1"):
            network.set_receive_offload("turn", device)
        client = KernelClient(network, (CLIENT, 4001), (NODE, PORT))
        peer = network.bind("peer", (PEER, 5001))
        client.allocate()
        client.bind(CHANNEL, (PEER, 5001))
        client.send(CHANNEL, b"the first one may wait for addresses of the link")
        assert peer.recv(100).startswith(b"the first")
        before = node.read_figure("kernel_packets")

        frames = [CHANNEL.to_bytes(2) + (4).to_bytes(2) + number.to_bytes(4) for number in range(BURST)]
        size = len(frames[0]).to_bytes(2, sys.byteorder)
        client.socket.sendmsg(frames, [(socket.IPPROTO_UDP, UDP_SEGMENT, size)], 0, (NODE, PORT))

        assert [int.from_bytes(peer.recv(100)) for _ in range(BURST)] == list(range(BURST))
        is_in_userspace = rung is Rung.USERSPACE
        assert node.read_figure("kernel_packets") - before == (0 if is_in_userspace else BURST)
        # What the manager keeps are the daemon's own sockets: the listening ones, and the relay port.
        kept = [one for one in node.manager.store.values() if one.type == socket.SOCK_DGRAM]
        assert len(kept) > 1
        assert {one.getsockopt(socket.IPPROTO_UDP, UDP_GRO) for one in kept} == {int(is_in_userspace)}
