"""One load on one server, and what it cost: the time of all its threads, and of those that receive for it.

For: kernel.py and floor.py.
Not for: what is sent (packet_load.py), nor for who relays it.

Counted are the threads of processor 1: the server's, and those that receive at its two cables (NAPI). Those
of processor 0 are not: who sends, and who receives at the far ends. To wake them is counted (far_ends.py).
"""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from turn.packet_load import BATCH, Count, Prepare, Send, Sink, Worker

LOSS_ALLOWED: Final = 0.005
STEPS: Final = 6
HEADERS: Final = 46
"""So many bytes of a frame differ from flow to flow, as in load.c."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one load."""

    offered_per_second: float
    relayed_per_second: float
    loss: float
    cpu_ns: float


@dataclass(slots=True)
class Site:
    """A worker at either end, and the server's processes."""

    client: Worker
    peer: Worker
    processes: list[int]
    batch: int = BATCH

    def try_load(self, sender: Worker, sink: Worker, rate: float, seconds: float) -> Trial:
        """Send at a rate, and divide the time spent by what arrived."""
        before, spent = sink.ask(Count()), self._spent_ns()
        sent = sender.ask(Send(rate, seconds, self.batch))
        arrived = sink.ask(Count()) - before
        cpu_ns = (self._spent_ns() - spent) / max(arrived, 1)
        return Trial(sent / seconds, arrived / seconds, 1 - arrived / max(sent, 1), cpu_ns)

    def _spent_ns(self) -> int:
        return sum(spent_ns(process) for process in (*self.processes, *napi_threads("t0", "t1")))


class Direction(NamedTuple):
    """Who sends to whom: a frame of each flow, and the first of as many ports at which they arrive."""

    sender: Worker
    sink: Worker
    frames: Sequence[bytes]
    first_port: int


def measure_load(site: Site, size: int, directions: Sequence[Direction], seconds: float) -> dict[str, float]:
    """Measure what a load costs a packet, and how high it may be; the mean of its directions, in turn."""
    trials, rates = [], []
    for sender, sink, frames, first_port in directions:
        sink.ask(Sink(first_port, first_port + len(frames)))
        sender.ask(Prepare(frames[0], [frame[:HEADERS] for frame in frames]))
        site.try_load(sender, sink, 20_000, 0.2)
        trials.append(site.try_load(sender, sink, 0, seconds))
        rates.append(highest_rate(site, sender, sink, trials[-1], seconds))
    load = f"{size}_{len(directions[0].frames)}"
    return {
        f"cpu_ns_{load}": statistics.mean(trial.cpu_ns for trial in trials),
        f"kpps_{load}": statistics.mean(rates) / 1000,
    }


def settle(process: int | None = None, server_priority: int = 11) -> None:
    """Pin all threads; by default a server comes before those that receive for it: its best case."""
    for thread in napi_threads("t0", "t1"):
        os.sched_setaffinity(thread, {1})
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(10))
    for thread in napi_threads("c0", "p0"):
        os.sched_setaffinity(thread, {0})
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(10))
    if process is None:
        return
    for task in Path(f"/proc/{process}/task").iterdir():
        os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(server_priority))


def napi_threads(*devices: str) -> list[int]:
    """Find the threads that receive for these devices."""
    names = tuple(f"napi/{device}" for device in devices)
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().startswith(names):
                found.append(int(comm.parent.name))
        except OSError:
            continue  # it has ended
    return found


def spent_ns(process: int) -> int:
    """Return the time that all threads of a process were on a processor. Source: proc(5), `schedstat`."""
    total = 0
    for task in Path(f"/proc/{process}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue  # it has ended
    return total


def highest_rate(site: Site, sender: Worker, sink: Worker, saturated: Trial, seconds: float) -> float:
    """Find the highest rate with no more than half a percent lost."""
    low, high = 0.0, saturated.offered_per_second
    guess = min(high, saturated.relayed_per_second * 1.2)
    best = 0.0
    for _ in range(STEPS):
        trial = site.try_load(sender, sink, guess, seconds / 2)
        if trial.loss <= LOSS_ALLOWED:
            low, best = guess, max(best, trial.relayed_per_second)
        else:
            high = guess
        guess = (low + high) / 2
    return best
