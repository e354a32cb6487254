"""What a fleet costs its control plane, and how fast a change is everywhere: `make bench-controlplane`.

    for each size: install ─▶ start ─▶ all nodes connect ─▶ changes ─▶ steady state ─▶ restart ─▶ all are back

Nodes are real agents (keys, signatures, TLS, files) in this process; the control plane is its own program in
another one, on a core of its own. The last line is JSON.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import Popen

import httpx2
import structlog
import uvloop

from steering.control import Site, install, read_cpu_seconds, read_queued_seconds, read_resident_mebibytes
from steering.simulated import SimulatedFleet, make_fleet

CONNECT_SECONDS = 300.0
FILES_OF_NODES = "/dev/shm"  # noqa: S108 - in memory: a thousand nodes have a thousand disks, and here is one
APPLY_SECONDS = 120.0
SETTLE_SECONDS = 10.0
QUIET_SECONDS = 3.0
SMALLEST_MESSAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Figures:
    """One size. `cpu_s` are CPU seconds of the control plane in 60 s of steady state.

    Of one change: `apply_cpu_s` is what it costs the control plane, `apply_nodes_cpu_s` what it costs all the
    nodes, which have one core together here; `apply_queued_s` is how long both have waited for their cores
    because others were at work there.
    """

    nodes: int
    mail_nodes: int
    connect_s: float
    apply_p50_s: float
    apply_p99_s: float
    apply_cpu_s: float
    apply_nodes_cpu_s: float
    apply_queued_s: float
    reconnect_s: float
    cpu_s: float
    rss_mib: float


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU that the control plane and the nodes have used, and how long either has waited for a core."""

    plane_seconds: float
    nodes_seconds: float
    queued_seconds: float

    def since(self, former: "Spent", changes: int) -> "Spent":
        """Tell what each of so many changes has cost."""
        return Spent(
            (self.plane_seconds - former.plane_seconds) / changes,
            (self.nodes_seconds - former.nodes_seconds) / changes,
            (self.queued_seconds - former.queued_seconds) / changes,
        )


def main() -> None:
    """Measure each size in turn."""
    parser = argparse.ArgumentParser(prog="make bench-controlplane", description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 100, 1000], help="sizes of the fleet")
    parser.add_argument("--mail-share", type=float, default=0.9, help="part of the nodes that are mail nodes")
    parser.add_argument("--changes", type=int, default=5, help="changes of the fleet's policy")
    parser.add_argument("--seconds", type=float, default=60, help="length of the steady state")
    arguments = parser.parse_args()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50)
    )  # a node's log is no load of ours
    gc.disable()  # each node holds a list of all others: looking through all of that is no load of ours
    figures = None
    for count in arguments.nodes:
        fleet = make_fleet(count, max(1, round(count * arguments.mail_share)))
        with install(fleet) as site, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(_measure(site, fleet, arguments.changes, arguments.seconds))
        print(" ".join(f"{name}={value}" for name, value in asdict(figures).items()), flush=True)
    if figures is not None:
        shown = ("nodes", "apply_p99_s", "reconnect_s", "cpu_s", "rss_mib")
        print(json.dumps({"bench": "controlplane"} | {name: getattr(figures, name) for name in shown}))


async def _measure(site: Site, fleet: SimulatedFleet, changes: int, seconds: float) -> Figures:
    tls = site.tls
    async with AsyncExitStack() as stack:
        nodes = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=FILES_OF_NODES)))
        for node in fleet.nodes:
            node.build(nodes, site.url, site.trusted_keys, site.pin, tls)
        with site.run() as process:
            _separate(process)
            began_at = time.monotonic()
            await fleet.start(stack)
            await fleet.wait_until(lambda: _is_whole(fleet), CONNECT_SECONDS)
            connect_seconds = time.monotonic() - began_at
            _say(f"{len(fleet.nodes)} nodes connected after {connect_seconds:.1f} s", process.pid)
            await fleet.wait_until(lambda: _is_settled(fleet), CONNECT_SECONDS)
            _say(f"all states and siblings in force after {time.monotonic() - began_at:.1f} s", process.pid)
            spent = _read_spent(process.pid)
            delays = [
                delay for number in range(changes) for delay in await _change_policy(site, fleet, number)
            ]
            spent = _read_spent(process.pid).since(spent, max(1, changes))
            await asyncio.sleep(SETTLE_SECONDS)
            cpu_seconds = read_cpu_seconds(process.pid)
            await asyncio.sleep(seconds)
            cpu_seconds = (read_cpu_seconds(process.pid) - cpu_seconds) * 60 / seconds
            resident = read_resident_mebibytes(process.pid)
            began_at = time.monotonic()
            await asyncio.to_thread(process.terminate)
            await asyncio.to_thread(process.wait)
        await fleet.wait_until(lambda: not fleet.count_connected(), CONNECT_SECONDS)
        with site.run() as process:
            _separate(process)
            await fleet.wait_until(lambda: _is_whole(fleet), CONNECT_SECONDS)
            reconnect_seconds = time.monotonic() - began_at
    delays.sort()
    return Figures(
        nodes=len(fleet.nodes),
        mail_nodes=len(fleet.mail_nodes),
        connect_s=round(connect_seconds, 2),
        apply_p50_s=round(delays[len(delays) // 2], 3),
        apply_p99_s=round(delays[min(len(delays) - 1, int(len(delays) * 0.99))], 3),
        apply_cpu_s=round(spent.plane_seconds, 2),
        apply_nodes_cpu_s=round(spent.nodes_seconds, 2),
        apply_queued_s=round(spent.queued_seconds, 2),
        reconnect_s=round(reconnect_seconds, 2),
        cpu_s=round(cpu_seconds, 2),
        rss_mib=round(resident, 1),
    )


def _read_spent(process_id: int) -> Spent:
    own_id = os.getpid()
    return Spent(
        read_cpu_seconds(process_id),
        read_cpu_seconds(own_id),
        read_queued_seconds(process_id) + read_queued_seconds(own_id),
    )


def _say(what: str, process_id: int) -> None:
    """Tell how far it is; the figures are on the other channel."""
    print(f"{what}, with {read_cpu_seconds(process_id):.1f} s of CPU", file=sys.stderr, flush=True)


def _separate(process: "Popen[bytes]") -> None:
    """Give the control plane a core of its own; the load has the others."""
    cores = sorted(os.sched_getaffinity(0) | os.sched_getaffinity(process.pid))
    os.sched_setaffinity(process.pid, cores[:1])
    os.sched_setaffinity(0, cores[1:] or cores)


def _is_whole(fleet: SimulatedFleet) -> bool:
    return fleet.count_connected() == len(fleet.nodes)


def _is_settled(fleet: SimulatedFleet) -> bool:
    """Tell whether everybody has been told all that there is: every mail node knows all others."""
    latest = max(node.applied_at for node in fleet.nodes)
    others = len(fleet.mail_nodes) - 1
    knows_all = all(node.siblings == others for node in fleet.mail_nodes)
    return knows_all and time.monotonic() - latest > QUIET_SECONDS


async def _change_policy(site: Site, fleet: SimulatedFleet, number: int) -> list[float]:
    """Change what every mail node does; return after how many seconds each of them did it."""
    wanted = SMALLEST_MESSAGE_BYTES + number
    began_at = time.monotonic()
    await asyncio.to_thread(_send_change, site, wanted)
    await fleet.wait_until(
        lambda: all(node.message_bytes == wanted for node in fleet.mail_nodes), APPLY_SECONDS
    )
    return [node.applied_at - began_at for node in fleet.mail_nodes]


def _send_change(site: Site, message_bytes: int) -> None:
    headers = {"authorization": f"Bearer {site.token}"}
    with httpx2.Client(base_url=site.url, headers=headers, verify=site.tls, timeout=APPLY_SECONDS) as client:
        shown = client.get("/api/v1/policy").raise_for_status()
        seen = {"if-match": shown.headers["etag"]}
        client.patch("/api/v1/policy", json={"message_bytes": message_bytes}, headers=seen).raise_for_status()


if __name__ == "__main__":
    main()
