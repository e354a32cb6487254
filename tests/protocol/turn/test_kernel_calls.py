"""Calls through a real node whose kernel relays, on real interfaces of namespaces, on every rung."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from support import turn_program
from support.clocks import SOON_SECONDS, wait_until
from support.kernel_network import (
    CLIENT,
    CLIENT_IPV6,
    NODE,
    NODE_IPV6,
    PEER,
    PEER_IPV6,
    PORT,
    KernelClient,
    KernelNetwork,
    KernelNode,
    mounted_bpf,
    open_kernel_network,
)
from support.kernel_stream import CHANNEL, KERNEL_RUNGS, PACKETS, Stream, exchange, opened
from support.service_manager import START_SECONDS
from support.turn_client import IPV6, Attribute
from turnnode.kernel.canary import MAX_STRAY_SAMPLES
from turnnode.kernel.layout import Ends
from turnnode.kernel.proof import build_frame
from turnnode.kernel.rungs import LADDER, Rung, number_of
from turnnode.kernel.system_call import AttachKind, ProgramKind, create_link, load_program
from turnnode.relay.data_path import SAMPLE
from turnnode.stun.attributes import AttributeType, encode_lifetime
from turnnode.stun.message import Method

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and programs in the kernel need root"),
]
ETH_P_ALL = 3  # linux/if_ether.h
ACCEPT = bytes.fromhex("b7000000000000009500000000000000")  # r0 = TC_ACT_OK; exit
WAYS: list[tuple[str, str, str, tuple[Attribute, ...]]] = [
    (CLIENT, NODE, PEER, ()),
    (CLIENT, NODE, PEER_IPV6, (IPV6,)),
    (CLIENT_IPV6, NODE_IPV6, PEER, ()),
    (CLIENT_IPV6, NODE_IPV6, PEER_IPV6, (IPV6,)),
]


@pytest.fixture
def network() -> Iterator[KernelNetwork]:
    with open_kernel_network(f"tk-{os.getpid()}") as network:
        network.be_like_cards()
        yield network


@pytest.mark.parametrize("rung", KERNEL_RUNGS)
def test_data_is_relayed_in_the_kernel_between_both_versions_of_ip(
    network: KernelNetwork, tmp_path: Path, rung: Rung
) -> None:
    with opened(network, tmp_path, rung) as node:
        for place, (local, server, peer_host, attributes) in enumerate(WAYS):
            client = KernelClient(network, (local, 4000 + place), (server, PORT))
            peer = network.bind("peer", (peer_host, 5000 + place))
            relay = client.allocate(*attributes)
            client.bind(CHANNEL, (peer_host, 5000 + place))
            exchange(client, peer, relay)  # the first packets may wait for addresses of the link
            before = node.read_figure("kernel_packets")
            exchange(client, peer, relay)
            assert node.read_figure("kernel_packets") - before == 2 * PACKETS
        assert node.read_figure("kernel_flows") == len(WAYS)


def test_clients_of_other_ports_are_relayed_in_the_kernel_too(network: KernelNetwork, tmp_path: Path) -> None:
    with (
        mounted_bpf(tmp_path / "bpf") as directory,
        KernelNode(
            network,
            tmp_path,
            DATA_PATH=Rung.TC,
            BPF_DIRECTORY=str(directory),
            OTHER_UDP_PORTS="443",
            BITS_PER_SECOND="1000000",
        ) as node,
    ):
        for place, port in enumerate((PORT, 443)):
            client = KernelClient(network, (CLIENT, 4100 + place), (NODE, port))
            peer = network.bind("peer", (PEER, 5100 + place))
            relay = client.allocate()
            client.bind(CHANNEL, (PEER, 5100 + place))
            exchange(client, peer, relay)
            before = node.read_figure("kernel_packets")
            exchange(client, peer, relay)
            assert node.read_figure("kernel_packets") - before == 2 * PACKETS
        assert node.read_figure("kernel_dropped") == 0
        stream = Stream(network)
        for _ in range(400):  # half a second's worth are 62,500 bytes
            stream.client.send(CHANNEL, bytes(1000))
        assert 0 < node.read_figure("kernel_dropped") < 400


@pytest.mark.parametrize("rung", KERNEL_RUNGS)
def test_two_clients_of_the_node_are_joined(network: KernelNetwork, tmp_path: Path, rung: Rung) -> None:
    with opened(network, tmp_path, rung) as node:
        one = KernelClient(network, (CLIENT, 4001), (NODE, PORT))
        other = KernelClient(network, (CLIENT_IPV6, 4002), (NODE_IPV6, PORT))
        one_relay, other_relay = one.allocate(), other.allocate()
        one.bind(CHANNEL, other_relay)
        one.send(CHANNEL, b"nobody listens yet")
        other.bind(CHANNEL + 1, one_relay)
        for turn in range(3):
            before = node.read_figure("kernel_packets")
            for number in range(PACKETS):
                data = os.urandom(number * 7)
                one.send(CHANNEL, data)
                assert other.receive() == (CHANNEL + 1).to_bytes(2) + len(data).to_bytes(2) + data
                other.send(CHANNEL + 1, data)
                assert one.receive() == CHANNEL.to_bytes(2) + len(data).to_bytes(2) + data
            if turn:
                assert node.read_figure("kernel_packets") - before == 2 * PACKETS
        # When one of them leaves, nothing of the other's goes anywhere.
        other.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))
        before = node.read_figure("kernel_packets")
        in_userspace = node.read_figure("packets_to_peers")
        one.send(CHANNEL, b"too late")
        wait_until(lambda: node.read_figure("packets_to_peers") == in_userspace + 1)
        assert (node.read_figure("kernel_packets"), node.read_figure("kernel_flows")) == (before, 0)


def test_sums_that_a_neighbour_left_to_its_card_are_made_by_tc(tmp_path: Path) -> None:
    with (
        open_kernel_network(f"tk-{os.getpid()}") as network,  # cables whose ends leave out the sums
        opened(network, tmp_path, Rung.TC) as node,
    ):
        for place, (local, server, peer_host, attributes) in enumerate(WAYS):
            client = KernelClient(network, (local, 4000 + place), (server, PORT))
            peer = network.bind("peer", (peer_host, 5000 + place))
            relay = client.allocate(*attributes)
            client.bind(CHANNEL, (peer_host, 5000 + place))
            exchange(client, peer, relay)
            before = node.read_figure("kernel_packets")
            exchange(client, peer, relay)
            assert node.read_figure("kernel_packets") - before == 2 * PACKETS


def test_sums_that_a_neighbour_left_to_its_card_keep_xdp_out(tmp_path: Path) -> None:
    with (
        open_kernel_network(f"tk-{os.getpid()}") as network,
        opened(network, tmp_path, Rung.GENERIC_XDP) as node,
    ):
        client = KernelClient(network, (CLIENT, 4001), (NODE, PORT))
        peer = network.bind("peer", (PEER, 5001))
        relay = client.allocate()
        client.bind(CHANNEL, (PEER, 5001))
        exchange(client, peer, relay)
        assert node.read_figure("kernel_packets") <= 2  # about one in 65,536 looks otherwise
        assert node.read_figure("packets_to_peers") >= PACKETS - 1
        for _ in range(MAX_STRAY_SAMPLES * SAMPLE // PACKETS + 1):
            exchange(client, peer, relay)
        # It was ordered, so it stays; but not silently.
        assert node.read_figure("kernel_rung") == number_of(Rung.GENERIC_XDP)
        assert "kernel relays nothing" in node.manager.read_log()


@pytest.fixture
def greedy_programs(network: KernelNetwork) -> Iterator[None]:
    """Have another program take all that arrives, before any that is attached later by TC."""
    with ExitStack() as stack:
        program = load_program(ProgramKind.TC, ACCEPT, licence="GPL", name="greedy")
        stack.callback(os.close, program)

        def attach() -> list[int]:
            numbers = map(socket.if_nametoindex, ("t0", "t1"))
            return [create_link(program, number, AttachKind.TCX_INGRESS) for number in numbers]

        for link in network.inside("turn", attach):
            stack.callback(os.close, link)
        yield


@pytest.mark.usefixtures("greedy_programs")
def test_rung_by_which_nothing_comes_is_left_for_the_next_one(network: KernelNetwork, tmp_path: Path) -> None:
    with (
        mounted_bpf(tmp_path / "bpf") as directory,
        KernelNode(network, tmp_path, DATA_PATH="auto", BPF_DIRECTORY=str(directory)) as node,
    ):
        assert node.read_figure("kernel_rung") == number_of(Rung.TC)
        stream = Stream(network)
        for _ in range(MAX_STRAY_SAMPLES * SAMPLE // PACKETS):
            exchange(stream.client, stream.peer, stream.relay)
        assert node.read_figure("kernel_rung") == number_of(Rung.GENERIC_XDP)

        before = node.read_figure("kernel_packets")
        exchange(stream.client, stream.peer, stream.relay)
        assert node.read_figure("kernel_packets") - before == 2 * PACKETS
        assert not [path for path in directory.iterdir() if path.name.startswith("tc@")]


def test_three_capabilities_are_enough(network: KernelNetwork, tmp_path: Path) -> None:
    setpriv = shutil.which("setpriv")
    assert setpriv is not None
    capabilities = "-all,+bpf,+net_admin,+perfmon"
    become = (*(setpriv, "--no-new-privs", f"--inh-caps={capabilities}", f"--bounding-set={capabilities}"),)
    with (
        mounted_bpf(tmp_path / "bpf") as directory,
        KernelNode(network, tmp_path, become=become, DATA_PATH=Rung.TC, BPF_DIRECTORY=str(directory)) as node,
    ):
        stream = Stream(network)
        exchange(stream.client, stream.peer, stream.relay)
        assert node.read_figure("kernel_packets") > 0
        pins = [path.name.partition("@")[0] for path in directory.iterdir()]
        assert pins.count(Rung.TC) == 2


def open_raw(device: str) -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    raw.bind((device, 0))
    raw.settimeout(SOON_SECONDS)
    return raw


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]} {way[2]}")
def test_frame_that_others_hold_too_gets_room_by_tc_and_is_left_to_them_as_it_was(
    network: KernelNetwork, tmp_path: Path, way: tuple[str, str, str, tuple[Attribute, ...]]
) -> None:
    local, server, peer_host, attributes = way
    with opened(network, tmp_path, Rung.TC) as node:
        client = KernelClient(network, (local, 4001), (server, PORT))
        peer = network.bind("peer", (peer_host, 5001))
        relay = client.allocate(*attributes)
        client.bind(CHANNEL, (peer_host, 5001))
        exchange(client, peer, relay)
        link = network.link_address("turn", "t1") + network.link_address("peer", "p0")
        frame = build_frame(Ends((peer_host, 5001), relay), bytes(range(160)), link=link)
        before = node.read_figure("kernel_packets")
        with (
            network.inside("turn", partial(open_raw, "t1")) as other,
            network.inside("peer", partial(open_raw, "p0")) as raw,
        ):
            raw.send(frame)
            assert client.receive() == CHANNEL.to_bytes(2) + (160).to_bytes(2) + bytes(range(160))
            seen = other.recv(4096)
            while seen != frame:  # the link has other traffic, too; without this frame, the time runs out
                seen = other.recv(4096)
        assert node.read_figure("kernel_packets") - before == 1


@pytest.mark.parametrize("rung", [Rung.XDP, Rung.GENERIC_XDP])
def test_frames_with_the_tag_of_a_vlan_are_relayed_by_programs_that_see_it(
    network: KernelNetwork, tmp_path: Path, rung: Rung
) -> None:
    with opened(network, tmp_path, rung):
        stream = Stream(network)
        link = network.link_address("turn", "t0") + network.link_address("client", "c0")
        ends = Ends((CLIENT, 4001), (NODE, PORT), CHANNEL)
        with network.inside("client", partial(open_raw, "c0")) as raw:
            for number in range(10):
                raw.send(build_frame(ends, b"tagged %d" % number, link=link, tag=7))
                assert stream.peer.recv(100) == b"tagged %d" % number


@pytest.mark.parametrize("rung", KERNEL_RUNGS)
def test_kill_a_new_start_and_a_take_over_lose_no_packet(
    network: KernelNetwork, tmp_path: Path, rung: Rung
) -> None:
    with opened(network, tmp_path, rung) as node:
        stream = Stream(network)
        assert stream.lost_during(node.kill, node.start, node.take_over) == 0
        before = node.read_figure("kernel_packets")
        stream.peer.settimeout(5)
        exchange(stream.client, stream.peer, stream.relay)
        assert node.read_figure("kernel_packets") - before == 2 * PACKETS


def test_program_ends_with_the_process_where_no_file_system_keeps_it(
    network: KernelNetwork, tmp_path: Path
) -> None:
    with KernelNode(network, tmp_path, DATA_PATH=Rung.TC) as node:
        stream = Stream(network)
        assert node.read_figure("kernel_packets") > 0
        node.kill()
        stream.peer.settimeout(0.1)
        wait_until(lambda: not stream.arrives(b"to a dead process"))


@pytest.mark.timeout(5 * START_SECONDS)  # it starts five times
def test_another_rung_takes_the_place_of_a_former_one(network: KernelNetwork, tmp_path: Path) -> None:
    with mounted_bpf(tmp_path / "bpf") as directory:
        for place, rung in enumerate((Rung.XDP, Rung.GENERIC_XDP, Rung.TC, Rung.XDP, Rung.USERSPACE)):
            own = tmp_path / str(place)
            own.mkdir()
            with KernelNode(network, own, DATA_PATH=rung, BPF_DIRECTORY=str(directory)) as node:
                names = {path.name.partition("@")[0] for path in directory.iterdir()}
                assert names - {"maps.debug", "progs.debug"} == {rung.value} - {Rung.USERSPACE.value}
                assert node.read_figure("kernel_rung") == len(LADDER) - 1 - LADDER.index(rung)


def test_flows_follow_a_neighbour_to_another_address_of_the_link(
    network: KernelNetwork, tmp_path: Path
) -> None:
    other = "02:00:00:00:00:99"
    with opened(network, tmp_path, Rung.TC) as node:
        stream = Stream(network)
        network.ip("peer", "link", "set", "p0", "address", other)
        network.ip("turn", "neigh", "replace", PEER, "lladdr", other, "dev", "t1", "nud", "reachable")
        wait_until(lambda: stream.arrives(b"moved"))
        before = node.read_figure("kernel_packets")
        exchange(stream.client, stream.peer, stream.relay)
        assert node.read_figure("kernel_packets") - before == 2 * PACKETS


def run_alone(tmp_path: Path, *become: str, **settings: str) -> tuple[int, str]:
    """Run the daemon on loopback until it ends, and once it is ready end it; return its code and its log."""
    settings = {
        "STATE_DIRECTORY": str(tmp_path),
        "LISTEN_ADDRESSES": "127.0.0.1",
        "PORT": "34780",
        "PUBLIC_NAME": "127.0.0.1",
    } | settings
    environment = os.environ | {f"TURNNODE_{name}": value for name, value in settings.items()}
    log = tmp_path / "log"
    with log.open("wb") as file:
        daemon = subprocess.Popen(
            [*become, sys.executable, turn_program.__file__, "serve"],
            env=environment,
            stdout=file,
            stderr=file,
        )
    try:
        wait_until(lambda: daemon.poll() is not None or "daemon ready" in log.read_text(), START_SECONDS)
    finally:
        daemon.terminate()
        code = daemon.wait(SOON_SECONDS)
    return code, log.read_text()


def test_rung_that_was_set_and_cannot_be_had_is_an_error(tmp_path: Path) -> None:
    code, log = run_alone(tmp_path, DATA_PATH="tc")  # loopback has no links' addresses

    assert code == 2, log
    assert "tc is not available: lo is no Ethernet interface" in log


def test_rung_that_was_set_without_the_right_to_use_it_is_an_error(tmp_path: Path) -> None:
    code, log = run_alone(tmp_path, "setpriv", "--bounding-set=-all", DATA_PATH="tc")

    assert code == 2, log
    assert "give the process the capabilities" in log


def test_node_without_the_right_to_use_the_kernel_relays_in_userspace(tmp_path: Path) -> None:
    code, log = run_alone(tmp_path, "setpriv", "--bounding-set=-all", DATA_PATH="auto")

    assert code == 0, log
    assert "daemon ready" in log
    assert "relaying in userspace" in log
