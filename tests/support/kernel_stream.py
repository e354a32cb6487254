"""Calls through a node whose kernel relays: what a client and its peer send each other, and what gets lost.

For: tests of one daemon, in the namespaces of kernel_network.py.
Not for: loads (bench/turn).
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from support.clocks import wait_until
from support.kernel_network import (
    CLIENT,
    NODE,
    PEER,
    PORT,
    KernelClient,
    KernelNetwork,
    KernelNode,
    mounted_bpf,
)
from turnnode.kernel.rungs import LADDER, Rung
from turnnode.stun.attributes import Address

KERNEL_RUNGS: Final = [rung for rung in LADDER if rung is not Rung.USERSPACE]
CHANNEL: Final = 0x4001
PACKETS: Final = 20


@contextmanager
def opened(network: KernelNetwork, tmp_path: Path, rung: Rung) -> Iterator[KernelNode]:
    with (
        mounted_bpf(tmp_path / "bpf") as directory,
        KernelNode(network, tmp_path, DATA_PATH=rung, BPF_DIRECTORY=str(directory)) as node,
    ):
        yield node


def exchange(client: KernelClient, peer: socket.socket, relay: tuple[str, int]) -> None:
    """Send data of many sizes there and back."""
    for number in range(PACKETS):
        there, back = os.urandom(number * 7), os.urandom(number * 61 % 1100)
        client.send(CHANNEL, there)
        data, source = peer.recvfrom(4096)
        assert (data, source[:2]) == (there, relay)
        peer.sendto(back, relay)
        assert client.receive() == CHANNEL.to_bytes(2) + len(back).to_bytes(2) + back


class Stream:
    """A client that goes on sending, and a peer that goes on receiving."""

    def __init__(
        self, network: KernelNetwork, *, local: Address = (CLIENT, 4001), peer: Address = (PEER, 5001)
    ) -> None:
        self.client = KernelClient(network, local, (NODE, PORT))
        self.peer = network.bind("peer", peer)
        self.relay = self.client.allocate()
        self.client.bind(CHANNEL, peer)
        exchange(self.client, self.peer, self.relay)

    def arrives(self, data: bytes) -> bool:
        """Tell whether data still reaches the peer."""
        self.client.send(CHANNEL, data)
        try:
            return self.peer.recv(100) == data
        except TimeoutError:
            return False

    def lost_during(self, *steps: Callable[[], object]) -> int:
        """Count the packets that did not arrive out of those that were sent while something happened."""
        is_over = threading.Event()
        sent = 0

        def send() -> None:
            nonlocal sent
            while not is_over.is_set():
                self.client.send(CHANNEL, sent.to_bytes(4))
                sent += 1
                time.sleep(0.002)

        received: set[bytes] = set()

        def receive() -> None:
            self.peer.settimeout(0.5)
            try:
                while True:
                    received.add(self.peer.recv(100))
            except TimeoutError:
                return

        threads = threading.Thread(target=send), threading.Thread(target=receive)
        for thread in threads:
            thread.start()
        for step in steps:
            step()
        wait_until(lambda: sent > 100)
        is_over.set()
        for thread in threads:
            thread.join()
        return sent - len(received)
