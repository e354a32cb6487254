"""TC on kernels without TCX: a filter relays real packets, is replaced, and is removed by its pin."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.kernel_network import (
    CLIENT,
    NODE,
    PEER,
    PORT,
    RELAY,
    KernelNetwork,
    mounted_bpf,
    open_kernel_network,
)
from turnnode.kernel.attachment import attach_by_filter, detach_others
from turnnode.kernel.layout import EXPIRES_WORD, STATE_WORDS, Ends, NextHop, pack_control, pack_flow
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.route_messages import Interface
from turnnode.kernel.routes import RouteSocket
from turnnode.kernel.rungs import Rung

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and programs in the kernel need root"),
]
CHANNEL = 0x4001
DATA = b"no process answers for this"
BEFORE = Ends((CLIENT, 4001), (NODE, PORT), CHANNEL)
AFTER = Ends((RELAY, 50_001), (PEER, 5001))


@dataclass
class Site:
    network: KernelNetwork
    directory: Path
    entrance: Interface

    def maps(self, stack: ExitStack) -> RelayMaps:
        """Make maps with one flow, and a lease of ten seconds."""
        maps = RelayMaps.create(stack, entries=16)
        link = self.network.link_address
        exit_number = self.network.inside("turn", lambda: find_interface("t1")).number
        hop = NextHop(link("peer", "p0"), link("turn", "t1"), exit_number, 1500)
        maps.hops.write(1, hop.pack())
        maps.states.words[STATE_WORDS + EXPIRES_WORD] = time.monotonic_ns() + 60 * 10**9
        maps.control.write(0, pack_control(lease_until_ns=time.monotonic_ns() + 10 * 10**9, ports=(PORT,)))
        maps.flows.put(BEFORE.pack(), pack_flow(BEFORE, AFTER, slot=1, hop=1))
        return maps

    def attach(self, stack: ExitStack, maps: RelayMaps, directory: Path | None) -> str:
        program = maps.load(Rung.TC)
        stack.callback(os.close, program)
        return self.network.inside("turn", lambda: attach_by_filter(stack, program, self.entrance, directory))

    def filters(self) -> int:
        """Count filters of ours, as tc(8) lists them."""
        shown = subprocess.run(
            ["tc", "-n", f"{self.network.name}-turn", "filter", "show", "dev", "t0", "ingress"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return shown.count("turnnode direct-action")

    def is_relayed(self) -> bool:
        """Send a datagram of the flow; tell whether it comes out at the peer."""
        peer = self.network.bind("peer", (PEER, 5001))
        peer.settimeout(0.3)
        client = self.network.bind("client", (CLIENT, 4001))
        try:
            client.sendto(CHANNEL.to_bytes(2) + len(DATA).to_bytes(2) + DATA, (NODE, PORT))
            return peer.recv(100) == DATA
        except TimeoutError:
            return False
        finally:
            peer.close()
            client.close()


def find_interface(name: str) -> Interface:
    with ExitStack() as stack:
        return next(one for one in RouteSocket(stack).list_interfaces() if one.name == name)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_kernel_network(f"tf-{os.getpid()}") as network, mounted_bpf(tmp_path / "bpf") as directory:
        network.be_like_cards()
        yield Site(network, directory, network.inside("turn", lambda: find_interface("t0")))


def test_filter_relays_beyond_its_process_until_the_lease_ends_and_another_takes_its_place(
    site: Site,
) -> None:
    with ExitStack() as first:
        maps = site.maps(first)
        name = site.attach(first, maps, site.directory)
        assert name == f"tc-filter@{site.entrance.number}-t0"
        assert site.is_relayed()
    assert site.is_relayed()  # nobody holds program or maps any more but the kernel

    with ExitStack() as second:
        maps = site.maps(second)
        site.attach(second, maps, site.directory)
        assert (site.filters(), site.is_relayed()) == (1, True)
        maps.control.write(0, pack_control(lease_until_ns=0, ports=(PORT,)))
        assert not site.is_relayed()


def test_filter_is_removed_where_another_rung_is_kept(site: Site) -> None:
    with ExitStack() as stack:
        name = site.attach(stack, site.maps(stack), site.directory)
        site.network.inside("turn", lambda: detach_others(site.directory, frozenset({name})))
        assert (site.filters(), site.is_relayed()) == (1, True)

        site.network.inside("turn", lambda: detach_others(site.directory, frozenset({"xdp@1-t0"})))
        assert (site.filters(), site.is_relayed()) == (0, False)
        assert not (site.directory / name).exists()


def test_filter_ends_with_its_process_where_no_file_system_remembers_it(site: Site) -> None:
    with ExitStack() as stack:
        maps = site.maps(stack)
        program = maps.load(Rung.TC)
        stack.callback(os.close, program)

        def attached_and_left() -> None:
            with ExitStack() as process:
                attach_by_filter(process, program, site.entrance, None)
                assert site.filters() == 1

        site.network.inside("turn", attached_and_left)
        assert site.filters() == 0
