"""What a call loses while 100,000 requests a second of nobody known arrive in the same stream.

    PYTHONPATH=tests:bench python -m turn.flood [--rate 110000] [--seconds 3] [--servers coturn tc xdp]

    c0 ─ 63 Allocate requests from 200 addresses, 1 packet of a call ─▶ t0 the server t1 ─ the call's ─▶ p0

The call's packets stand inside the flood, so nothing treats them better; they are made and counted in the
kernel (packet_load.py). What a hop drops is read from its counters: so a loss has a place. veth is no network
card. Needs root, two processors, and coturn. The last line is JSON.
"""

import argparse
import json
import os
import re
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from support.kernel_network import (
    CLIENT,
    NODE,
    PEER,
    PORT,
    KernelClient,
    KernelNetwork,
    open_kernel_network,
)
from support.turn_client import UDP
from turn.device_statistics import read_device_statistics
from turn.kernel import CHANNEL, FIRST_CLIENT_PORT, FIRST_PEER_PORT, SERVERS, prepare, server
from turn.packet_load import MAX_FLOWS, Count, Prepare, Send, Sink, Worker
from turn.trials import HEADERS, settle
from turnnode.kernel.layout import Ends
from turnnode.kernel.proof import build_frame
from turnnode.stun.message import Message, MessageClass, Method, encode

SHARE: Final = 64  # one packet of so many is the call's
CALL_PLACE: Final = 7
SOURCES: Final = 200
FIRST_SOURCE: Final = 10
SLICE_SECONDS: Final = 0.2
SETTLED_SECONDS: Final = 0.3
CABLE: Final = "c0 tx_queue_0_xdp_xmit_errors"
_DROP: Final = re.compile("[^p]_drop|err")


@dataclass(slots=True)
class Flooded:
    """What came of the floods of one server.

    Attributes:
        seconds, requests: How long, and how many datagrams of the flood and the call together.
        call_packets, lost: Of the call, in slices whose every frame the cable took.
        held_up: Slices in which the cable itself was full: its ring has 256 places, for 2.3 ms of the flood,
            and a virtual processor may stand still for longer. What is lost there never was at the node.
        lost_with_cable: Of the call in all slices, the cable's losses included.
        memory_growth_kib: Of the server.
        drops: By hop and cause.
    """

    seconds: float = 0
    requests: int = 0
    call_packets: int = 0
    lost: int = 0
    held_up: int = 0
    lost_with_cable: int = 0
    memory_growth_kib: int = 0
    drops: Counter[str] = field(default_factory=Counter)

    @property
    def loss(self) -> float:
        """The share of the call that the node lost."""
        return self.lost / max(1, self.call_packets)


def main() -> None:
    """Flood every server, and print a line for each and one of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=110_000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", nargs="*", default=SERVERS)
    arguments = parser.parse_args()
    floods = {name: Flooded() for name in arguments.servers}
    with open_kernel_network(f"tk-flood-{os.getpid()}") as network:
        network.be_like_cards()
        prepare(network)
        know_sources(network)
        for _ in range(arguments.rounds):
            for name in arguments.servers:
                flood(network, name, arguments, floods[name])
    for name, came in floods.items():
        print(f"{name:12} {came.requests / came.seconds:9,.0f} a second; lost {came.lost} of", end=" ")
        print(f"{came.call_packets} ({came.loss:.3%}), with {came.held_up} full cables", end=" ")
        print(f"{came.lost_with_cable}; memory {came.memory_growth_kib:+} KiB; {dict(came.drops)}")
    lost = {name: {"lost": came.lost, "of": came.call_packets} for name, came in floods.items()}
    print(json.dumps({"bench": "flood"} | lost))


def flood(network: KernelNetwork, name: str, arguments: argparse.Namespace, came: Flooded) -> None:
    """Flood one server beside a call, in slices."""
    with server(network, name) as process, ExitStack() as stack:
        sender = Worker(stack, f"{network.name}-client", "c0")
        sink = Worker(stack, f"{network.name}-peer", "p0")
        client = KernelClient(network, (CLIENT, FIRST_CLIENT_PORT), (NODE, PORT))
        client.allocate()
        client.bind(CHANNEL, (PEER, FIRST_PEER_PORT))
        client.socket.close()
        settle(process, server_priority=9)  # below what receives: as it is on a host that nobody has tuned
        frames = write_frames(network)
        sink.ask(Sink(FIRST_PEER_PORT, FIRST_PEER_PORT))
        sender.ask(Prepare(frames[0], [frame[:HEADERS] for frame in frames]))
        sender.ask(Send(arguments.rate, 0.5))  # memory that a first flood takes is no growth
        time.sleep(SETTLED_SECONDS)
        memory = resident_kib(process)
        for _ in range(round(arguments.seconds / SLICE_SECONDS)):
            before, drops = sink.ask(Count()), read_drops(network)
            sent = sender.ask(Send(arguments.rate, SLICE_SECONDS))
            time.sleep(SETTLED_SECONDS)
            dropped = Counter(read_drops(network))
            dropped.subtract(drops)
            call_packets = -(
                -(sent - CALL_PLACE) // SHARE
            )  # the generator begins at the first frame each time
            lost = call_packets - (sink.ask(Count()) - before)
            came.seconds += SLICE_SECONDS
            came.requests += sent
            came.drops.update(+dropped)
            came.lost_with_cable += lost
            if dropped[CABLE]:
                came.held_up += 1
            else:
                came.call_packets += call_packets
                came.lost += lost
        came.memory_growth_kib = max(came.memory_growth_kib, resident_kib(process) - memory)


def know_sources(network: KernelNetwork) -> None:
    """Have the node know where its answers to the flood go: they cost what they cost, and reach nobody."""
    link = ":".join(f"{octet:02x}" for octet in network.link_address("client", "c0"))
    commands = "".join(
        f"neigh replace {_source_of(place)} lladdr {link} dev t0 nud permanent\n" for place in range(SOURCES)
    )
    subprocess.run(["ip", "-n", f"{network.name}-turn", "-batch", "-"], input=commands, text=True, check=True)


def write_frames(network: KernelNetwork) -> list[bytes]:
    """Write the frames of a flood and, at one place in `SHARE`, of a call: all of one size."""
    link = network.link_address("turn", "t0") + network.link_address("client", "c0")
    request = encode(Message(Method.ALLOCATE, MessageClass.REQUEST, bytes(12), (UDP,)))
    call = build_frame(
        Ends((CLIENT, FIRST_CLIENT_PORT), (NODE, PORT), CHANNEL), request[4:], link=link, is_summed=False
    )
    return [
        call
        if place % SHARE == CALL_PLACE
        else build_frame(
            Ends((_source_of(place % SOURCES), 40_000 + place), (NODE, PORT)),
            request,
            link=link,
            is_summed=False,
        )
        for place in range(MAX_FLOWS)
    ]


def read_drops(network: KernelNetwork) -> dict[str, int]:
    """Read what each hop has dropped, and what sockets of the node had no room for."""
    found: dict[str, int] = {}
    for host, device in (("client", "c0"), ("turn", "t0"), ("turn", "t1"), ("peer", "p0")):
        statistics_of = network.inside(host, partial(read_device_statistics, device))
        found |= {f"{device} {name}": count for name, count in statistics_of.items() if _DROP.search(name)}
    text = network.inside("turn", lambda: Path("/proc/thread-self/net/snmp").read_text())
    names, values = (line.split()[1:] for line in text.splitlines() if line.startswith("Udp:"))
    return found | {"socket full": int(dict(zip(names, values, strict=True))["RcvbufErrors"])}


def resident_kib(process: int) -> int:
    """Tell how much memory a process has."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise SystemExit(f"process {process} has ended; look at the server's log")


def _source_of(place: int) -> str:
    return f"192.0.2.{FIRST_SOURCE + place}"


if __name__ == "__main__":
    main()
