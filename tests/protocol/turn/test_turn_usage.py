"""Limits and usage of credentials where the kernel relays their data, on real interfaces of namespaces."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.clocks import wait_until
from support.kernel_network import (
    CLIENT,
    NODE,
    PEER,
    PORT,
    KernelClient,
    KernelNetwork,
    KernelNode,
    open_kernel_network,
)
from support.turn_client import UDP, status_of
from support.turn_program import SECRET
from turnnode.kernel.rungs import Rung
from turnnode.relay.usage import BURST_SECONDS, pseudonym_key, pseudonym_of
from turnnode.stun.attributes import AttributeType, encode_lifetime
from turnnode.stun.message import Method

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and programs in the kernel need root"),
]
CHANNEL = 0x4001
DATA = bytes(1000)
RATE = 200  # datagrams a second


class Call:
    """A client whose channel to a peer the kernel relays, by TC."""

    def __init__(self, network: KernelNetwork, node: KernelNode) -> None:
        self.node = node
        self.client = KernelClient(network, (CLIENT, 4001), (NODE, PORT))
        self.peer = network.bind("peer", (PEER, 5001))
        self.relay = self.client.allocate()
        self.client.bind(CHANNEL, (PEER, 5001))
        self.sent = 0
        self.exchange()  # the first packets may wait for addresses of the link
        before = node.read_figure("kernel_packets")
        self.exchange()
        assert node.read_figure("kernel_packets") - before == 2

    def exchange(self) -> None:
        """Send a datagram there and back."""
        self.client.send(CHANNEL, DATA)
        assert self.peer.recv(2000) == DATA
        self.peer.sendto(DATA, self.relay)
        assert self.client.receive()[4:] == DATA
        self.sent += 2

    def flood(self, count: int) -> None:
        """Send datagrams as fast as it goes."""
        for _ in range(count):
            self.client.send(CHANNEL, DATA)
        self.sent += count

    def used(self, name: str) -> float:
        """Read what the metrics tell of the credential."""
        pseudonym = pseudonym_of(self.client.writer.credential.username, pseudonym_key((SECRET,)))
        return self.node.read_figure(f'credential_{name}{{credential="{pseudonym}"}}')


@contextmanager
def calling(tmp_path: Path, **settings: str) -> Iterator[Call]:
    with open_kernel_network(f"tu-{os.getpid()}") as network:
        network.be_like_cards()
        with KernelNode(network, tmp_path, DATA_PATH=Rung.TC, **settings) as node:
            yield Call(network, node)


def drain(sock: socket.socket) -> int:
    """Count what has arrived."""
    count = 0
    sock.settimeout(0)
    try:
        while True:
            sock.recv(2000)
            count += 1
    except BlockingIOError:
        return count


def test_flood_through_the_kernel_is_cut_to_the_rate_of_a_credential(tmp_path: Path) -> None:
    bits_per_second = RATE * len(DATA) * 8
    with calling(tmp_path, BITS_PER_SECOND_PER_CREDENTIAL=str(bits_per_second)) as call:
        in_userspace = call.node.read_figure("packets_to_peers")
        started_at = time.monotonic()
        went = sent = 0
        while time.monotonic() - started_at < 2:
            call.flood(10)
            sent += 10
            went += drain(call.peer)
            time.sleep(0.005)
        took_seconds = time.monotonic() - started_at
        went += drain(call.peer)

        assert sent > 4 * went
        assert went == pytest.approx(RATE * (took_seconds + BURST_SECONDS), rel=0.1)
        assert call.node.read_figure("kernel_dropped") == sent - went
        assert call.node.read_figure("packets_to_peers") == in_userspace
        wait_until(lambda: call.used("dropped") == sent - went)


def test_usage_by_the_kernel_shows_by_pseudonym_also_when_the_call_has_ended(tmp_path: Path) -> None:
    with calling(tmp_path) as call:
        call.flood(50)
        wait_until(lambda: call.used("packets") == call.sent)
        assert call.used("bytes") == call.sent * len(DATA)
        assert call.node.read_figure("kernel_packets") >= 52
        assert call.node.read_figure("kernel_share") > 0.9

        call.flood(20)
        call.client.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))
        wait_until(lambda: call.used("packets") == call.sent)
        assert call.used("bytes") == call.sent * len(DATA)
        assert call.used("allocations") == 0


def test_kernel_relays_no_more_for_a_credential_beyond_its_volume(tmp_path: Path) -> None:
    with calling(tmp_path, BYTES_PER_CREDENTIAL="1000000") as call:
        call.flood(1000 - call.sent - 1)
        wait_until(lambda: call.used("packets") == 999)
        assert call.node.read_figure("kernel_flows") == 1
        call.flood(1)
        wait_until(lambda: call.node.read_figure("kernel_flows") == 0)

        in_kernel = call.node.read_figure("kernel_packets")
        call.flood(3)
        wait_until(lambda: call.node.read_figure("dropped_over_limit") == 3)
        assert call.node.read_figure("kernel_packets") == in_kernel
        other = KernelClient(call.node.network, (CLIENT, 4002), (NODE, PORT))
        other.writer = call.client.writer  # the nonce is another client's: it learns its own
        assert status_of(other.ask(Method.ALLOCATE, UDP)) == 486
