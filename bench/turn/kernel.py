"""What relaying costs on every rung, beside coturn, in one run on one core.

    PYTHONPATH=tests:bench python -m turn.kernel [--rounds 3] [--seconds 0.5] [--legs 640] [--write FOLDER]
                                              [--servers NAME …] [--only legs|packets] [--collect-us 0]

    client c0 ── veth ── t0 the server t1 ── veth ── p0 peer      in namespaces; processor 1 is the server's

Clients are real; then their addresses carry a load that the kernel makes (packet_load.py), both ways. The
time is that of all threads of the server and of the threads that receive for it (NAPI). veth is no network
card: with one, both sides pay for its driver, and the ratios shrink. Only ratios of one run mean anything;
each figure is the median of all rounds. Needs root, two processors, and coturn. The last line is JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from support.kernel_network import (
    CLIENT,
    NODE,
    PEER,
    PORT,
    RELAY,
    KernelClient,
    KernelNetwork,
    KernelNode,
    mounted_bpf,
    open_kernel_network,
)
from support.turn_program import REPLIES_VARIABLE, SECRET
from turn.far_ends import batch_of, far_ends_collect
from turn.floor import FLOORS, measure_floor
from turn.legs import make_legs
from turn.packet_load import Worker
from turn.report import medians_of, plot_of, table_of
from turn.round_trips import round_trip_us
from turn.trials import Direction, Site, measure_load, settle, spent_ns
from turnnode.kernel.layout import Ends
from turnnode.kernel.proof import build_frame
from turnnode.stun.attributes import Address

ROOT: Final = Path(__file__).resolve().parents[2]
FIRST_CLIENT_PORT: Final = 20_000
FIRST_PEER_PORT: Final = 30_000
CHANNEL: Final = 0x4000
SIZES: Final = (160, 1200)
FLOWS: Final = (16, 1024)
SERVERS: Final = ("coturn", "userspace", "generic-xdp", "tc", "xdp")
"""TURN servers; besides them, there is what passes frames on without being one (floor.py)."""
PARTS: Final = ("legs", "packets")
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory with a secret name is made in it
WARM_UP_LEGS, WARM_UP_PORT = 352, 40_000


def main() -> None:
    """Measure every server, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="of one load")
    parser.add_argument("--legs", type=int, default=640, help="of calls, for the control path")
    parser.add_argument("--rounds", type=int, default=3, help="in which the servers take turns")
    parser.add_argument("--write", type=Path, help="folder for table and plot")
    parser.add_argument("--servers", nargs="*", default=(*SERVERS, *FLOORS))
    parser.add_argument("--collect-us", type=int, default=0, help="as far_ends.py says; 20 is as cards do it")
    parser.add_argument("--only", choices=PARTS, help="one part, and no ratios: to compare two states")
    arguments = parser.parse_args()
    os.environ[REPLIES_VARIABLE] = "100000"  # all clients are at one address
    os.nice(-15)  # before all else that this machine does, and the servers with it
    names = [name for name in arguments.servers if arguments.only != "legs" or name not in FLOORS]
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with open_kernel_network(f"tk-bench-{os.getpid()}") as network:
        network.be_like_cards()
        prepare(network)
        for _ in range(arguments.rounds):
            for name in names:
                figures: dict[str, float] = {}
                if arguments.only in {None, "legs"} and name not in FLOORS:
                    figures |= measure_control(network, name, arguments.legs)
                if arguments.only in {None, "packets"} and name in FLOORS:
                    figures |= measure_floor(
                        network,
                        name,
                        arguments.seconds,
                        sizes=SIZES,
                        flows=FLOWS,
                        collect_us=arguments.collect_us,
                    )
                elif arguments.only in {None, "packets"}:
                    figures |= measure_packets(network, name, arguments.seconds, arguments.collect_us)
                rounds[name].append(figures)
                print(f"{name:12}", *(f"{key} {value:.4g}" for key, value in figures.items()), flush=True)
    results = {name: medians_of(found) for name, found in rounds.items()}
    if arguments.only is not None:
        print(json.dumps({"bench": "turn", "only": arguments.only, "medians": results}))
        return
    table = table_of(results, SIZES, FLOWS)
    print(table)
    if arguments.write is not None:
        (arguments.write / "calls-in-the-kernel.table.md").write_text(table)
        (arguments.write / "calls-in-the-kernel.svg").write_text(plot_of(results, SIZES, FLOWS))
    print(json.dumps({"bench": "turn"} | ratios_of(results)))


def measure_control(network: KernelNetwork, name: str, legs: int) -> dict[str, float]:
    """Measure what setting up calls costs one server, and the round trip of a call."""
    figures: dict[str, float] = {}
    with server(network, name) as process:
        settle(process)
        make_legs(network, WARM_UP_LEGS, first_port=WARM_UP_PORT)
        spent = spent_ns(process)
        made = make_legs(network, legs)
        figures["legs_per_second"] = made * 1e9 / (spent_ns(process) - spent)
        forwarding_us = round_trip_us(network, None)
        figures["added_rtt_us"] = round_trip_us(network, (NODE, PORT)) - forwarding_us
    return figures


def measure_packets(network: KernelNetwork, name: str, seconds: float, collect_us: int) -> dict[str, float]:
    """Measure what relaying costs one server, and how fast it relays."""
    figures: dict[str, float] = {}
    for flows in FLOWS:
        with server(network, name) as process, ExitStack() as stack:
            site = Site(
                Worker(stack, f"{network.name}-client", "c0"),
                Worker(stack, f"{network.name}-peer", "p0"),
                [process],
                batch_of(collect_us),
            )
            stack.enter_context(far_ends_collect(network, collect_us))
            relays = allocate(network, flows)
            settle(process)
            for size in SIZES:
                up = Direction(site.client, site.peer, frames_up(network, flows, size), FIRST_PEER_PORT)
                down = Direction(
                    site.peer, site.client, frames_down(network, relays, size), FIRST_CLIENT_PORT
                )
                figures |= measure_load(site, size, (up, down), seconds)
    return figures


def ratios_of(results: dict[str, dict[str, float]]) -> dict[str, float]:
    """Say how many times better than coturn each way is, at its worst."""
    names = {"xdp": "xdp", "tc": "tc", "generic-xdp": "generic_xdp", "userspace": "userspace"}
    ratios: dict[str, float] = {}
    base = results.get("coturn")
    for name, key in names.items():
        own = results.get(name)
        if own is None or base is None:
            continue
        places = [f"{size}_{flows}" for size in SIZES for flows in FLOWS]
        cpu = min(base[f"cpu_ns_{place}"] / own[f"cpu_ns_{place}"] for place in places)
        rate = min(own[f"kpps_{place}"] / max(base[f"kpps_{place}"], 1) for place in places)
        ratios[f"{key}_cpu_ratio"] = round(cpu, 2)
        ratios[f"{key}_rate_ratio"] = round(rate, 2)
        ratios[f"{key}_added_rtt_us"] = round(own["added_rtt_us"], 1)
    for name, key in (("tc", "legs_per_second"), ("coturn", "coturn_legs_per_second")):
        if name in results:
            ratios[key] = round(results[name]["legs_per_second"])
    return ratios


@contextmanager
def server(network: KernelNetwork, name: str) -> Iterator[int]:
    """Run one server on processor 1; yield its process."""
    # In memory, as a node's runtime directory is.
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
        directory = Path(place)
        if name == "coturn":
            with coturn(network, directory) as process:
                yield process
            return
        with (
            mounted_bpf(directory / "bpf") as bpf,
            KernelNode(
                network,
                directory,
                become=("taskset", "-c", "1"),
                python=choose_python(),
                DATA_PATH=name,
                BPF_DIRECTORY=str(bpf),
            ) as node,
        ):
            yield node.manager.main


def choose_python() -> str:
    """Choose Debian's Python, as nodes have it, where it is of this one's version: optimised as coturn is."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    ours = [str(Path(place).resolve()) for place in sys.path if Path(place).resolve().is_relative_to(ROOT)]
    os.environ["PYTHONPATH"] = ":".join(ours)
    system = Path(f"/usr/bin/python{version}")
    return str(system) if system.exists() else sys.executable


@contextmanager
def coturn(network: KernelNetwork, directory: Path) -> Iterator[int]:
    """Run coturn with the same credentials and one relay thread."""
    command = [
        *("nsenter", f"--net=/var/run/netns/{network.name}-turn", "--", "taskset", "-c", "1", "turnserver"),
        *("-n", "--log-file=stdout", "--simple-log", "--no-cli", "--no-tls", "--no-dtls"),
        *("--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=example.org"),
        *(f"--listening-ip={NODE}", f"--relay-ip={RELAY}", f"--listening-port={PORT}", "--relay-threads=1"),
        *(f"--pidfile={directory}/pid", f"--userdb={directory}/db"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)  # it does not tell when it is ready
        yield process.pid
    finally:
        process.kill()
        process.wait()


def prepare(network: KernelNetwork) -> None:
    """Give the server's ends threads that receive, and let hosts without a server reach one another."""
    for host, device in (("turn", "t0"), ("turn", "t1")):
        network.set_receive_offload(host, device)
    for host, *devices in (("client", "c0"), ("turn", "t0", "t1"), ("peer", "p0")):
        for device in devices:
            subprocess.run(
                [
                    *("ip", "netns", "exec", f"{network.name}-{host}", "sh", "-c"),
                    f"echo 1 > /sys/class/net/{device}/threaded",
                ],
                check=True,
            )
    for host, gateway in (("client", NODE), ("peer", RELAY)):
        subprocess.run(
            ["ip", "-n", f"{network.name}-{host}", "route", "add", "default", "via", gateway], check=True
        )
    subprocess.run(
        ["ip", "netns", "exec", f"{network.name}-turn", "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True
    )
    os.sched_setaffinity(0, {0})


def allocate(network: KernelNetwork, flows: int) -> list[Address]:
    """Make real allocations, each with a channel."""
    relays = []
    for number in range(flows):
        client = KernelClient(network, (CLIENT, FIRST_CLIENT_PORT + number), (NODE, PORT))
        relays.append(client.allocate())
        client.bind(CHANNEL + number, (PEER, FIRST_PEER_PORT + number))
        client.socket.close()
    return relays


def frames_up(network: KernelNetwork, flows: int, size: int) -> list[bytes]:
    """Write the frames of clients."""
    link = network.link_address("turn", "t0") + network.link_address("client", "c0")
    return [
        build_frame(
            Ends((CLIENT, FIRST_CLIENT_PORT + number), (NODE, PORT), CHANNEL + number), bytes(size), link=link
        )
        for number in range(flows)
    ]


def frames_down(network: KernelNetwork, relays: list[Address], size: int) -> list[bytes]:
    """Write the frames of peers."""
    link = network.link_address("turn", "t1") + network.link_address("peer", "p0")
    return [
        build_frame(Ends((PEER, FIRST_PEER_PORT + number), relay), bytes(size), link=link)
        for number, relay in enumerate(relays)
    ]


if __name__ == "__main__":
    main()
