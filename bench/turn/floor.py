"""What this bench itself costs: frames that are only passed on, without a TURN server.

    forwarding   c0 ─▶ t0 ─ the network stack, as a router ─▶ t1 ─▶ p0     and back
    bare-xdp     c0 ─▶ t0 ─ a program that writes the link's addresses ─▶ t1 ─▶ p0     and back

For: kernel.py. What is above `bare-xdp` is the programs' own; the rest are cables, threads that receive, and
what a redirection costs with any program.
Not for: servers.
"""

import os
import socket
import struct
from contextlib import ExitStack
from typing import Final

from support.kernel_network import CLIENT, PEER, KernelNetwork
from turn.far_ends import batch_of, far_ends_collect
from turn.packet_load import OBJECT, Worker
from turn.trials import Direction, Site, measure_load, settle
from turnnode.kernel.layout import Ends
from turnnode.kernel.maps import SharedArray
from turnnode.kernel.object_file import read_program
from turnnode.kernel.proof import build_frame
from turnnode.kernel.system_call import AttachKind, ProgramKind, create_link, load_program

FLOORS: Final = ("forwarding", "bare-xdp")
_NATIVE: Final = 1 << 2
_FIRST_CLIENT_PORT, _FIRST_PEER_PORT = 20_000, 30_000


def measure_floor(  # noqa: PLR0913 - as of any server
    network: KernelNetwork,
    name: str,
    seconds: float,
    *,
    sizes: tuple[int, ...],
    flows: tuple[int, ...],
    collect_us: int,
) -> dict[str, float]:
    """Measure what passing frames on costs, in the same way as with a server."""
    figures: dict[str, float] = {}
    with ExitStack() as stack:
        if name == "bare-xdp":
            network.inside("turn", lambda: _attach(stack, network))
        stack.enter_context(far_ends_collect(network, collect_us))
        site = Site(
            Worker(stack, f"{network.name}-client", "c0"),
            Worker(stack, f"{network.name}-peer", "p0"),
            [],
            batch_of(collect_us),
        )
        settle()
        for many in flows:
            for size in sizes:
                up, down = (
                    [_frame(network, number, size, upwards=upwards) for number in range(many)]
                    for upwards in (True, False)
                )
                directions = (
                    Direction(site.client, site.peer, up, _FIRST_PEER_PORT),
                    Direction(site.peer, site.client, down, _FIRST_CLIENT_PORT),
                )
                figures |= measure_load(site, size, directions, seconds)
    return figures


def _frame(network: KernelNetwork, number: int, size: int, *, upwards: bool) -> bytes:
    client, peer = (CLIENT, _FIRST_CLIENT_PORT + number), (PEER, _FIRST_PEER_PORT + number)
    if upwards:
        link = network.link_address("turn", "t0") + network.link_address("client", "c0")
        return build_frame(Ends(client, peer), bytes(size), link=link)
    link = network.link_address("turn", "t1") + network.link_address("peer", "p0")
    return build_frame(Ends(peer, client), bytes(size), link=link)


def _attach(stack: ExitStack, network: KernelNetwork) -> None:
    for device, out, host, far in (("t0", "t1", "peer", "p0"), ("t1", "t0", "client", "c0")):
        passed = SharedArray(stack, name="passed", value_bytes=16, entries=1)
        link = network.link_address(host, far) + network.link_address("turn", out)
        passed.write(0, link + struct.pack("=I", socket.if_nametoindex(out)))
        program = read_program(OBJECT.read_bytes(), "passing")
        loaded = load_program(
            ProgramKind.XDP,
            program.link({"passed": passed.descriptor}),
            licence=program.licence,
            name="passing",
        )
        stack.callback(os.close, loaded)
        attached = create_link(loaded, socket.if_nametoindex(device), AttachKind.XDP, _NATIVE)
        stack.callback(os.close, attached)
