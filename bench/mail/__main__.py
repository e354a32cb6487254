"""Measure the mail node beside the usual pipeline: `make bench-mail`.

    make bench-mail                         everything, on Debian 13, in about ten minutes (root)
    make bench-mail ARGUMENTS=--smoke       the node of this checkout alone, for seconds (more such: alone.py)

Servers have one core, the load another. The CPU is that of all processes of a server, by control group.
Rounds alternate between the two, and the median counts: only ratios of one run mean anything. The last line
is JSON.

Not for: loads (closed_loop.py, loads.py), servers (node.py, pipeline.py).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab_machines import MachineError
from mail.alone import add_arguments, both, choose, run
from mail.cgroup import Cgroup
from mail.checkout import SERVER_CORE
from mail.closed_loop import Result, Shape, Target, go_round
from mail.loads import LoginCosts, measure_group, measure_idle, measure_logins
from mail.node import count_syncs, describe, install_node, make_node_bundle, start_node
from mail.pipeline import start_pipeline
from mail.plot import Row, draw
from mail.tree import Tree, enter_namespaces
from mail.wire import BenchError
from wheels import BundleError

BUSY_PER_SECOND = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured of one server."""

    name: str
    loop: Result
    new_connection: Result
    quiet: Result
    group_ms: float
    logins: LoginCosts

    def rows(self) -> Iterator[tuple[str, str]]:
        """Write each figure with its name."""
        yield "CPU ms per message", f"{self.loop.cpu_ms_per_message:.2f}"
        yield "  of which in the kernel", f"{self.loop.system_ms_per_message:.2f}"
        yield "messages per second", f"{self.loop.messages_per_second:.0f}"
        yield "EXISTS when saturated, p50 / p99, ms", both(self.loop)
        yield "EXISTS when quiet, p50 / p99, ms", both(self.quiet)
        yield "CPU ms, new connection per message", f"{self.new_connection.cpu_ms_per_message:.2f}"
        yield "CPU ms per delivery, group of 20", f"{self.group_ms:.3f}"
        yield "CPU ms, new account and login", f"{self.logins.creating_ms:.2f}"
        yield "CPU ms, login again", f"{self.logins.again_ms:.2f}"
        resumed = f"{self.logins.resumed_ms:.2f}"
        yield (
            "CPU ms, login with TLS resumed",
            resumed if self.logins.is_resumed else f"{resumed} (not resumed)",
        )


def main() -> None:
    """Measure, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10, help="of one round")
    parser.add_argument("--rounds", type=int, default=3, help="of each server, in turn")
    parser.add_argument("--pairs", type=int, default=16, help="senders and recipients")
    parser.add_argument("--idle", type=int, default=10_000, help="sessions that wait")
    parser.add_argument("--logins", type=int, default=300, help="accounts that log in")
    parser.add_argument("--plot", type=Path, help="draw what both were measured in into this file")
    parser.add_argument("--floor", type=float, default=0, help="fail below this ratio of CPU per message")
    add_arguments(parser)
    options = parser.parse_args()
    measure = choose(options) or measure_all
    if measure is measure_all:
        try:
            enter_namespaces(make_node_bundle, "mail")
        except (BundleError, MachineError) as error:
            sys.exit(f"Not measured: {error}")
    with tempfile.TemporaryDirectory(
        prefix="bench-mail-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as home:
        try:
            summary = measure(Path(home), options)
        except (BenchError, BundleError, MachineError, OSError) as error:
            sys.exit(f"Not measured: {error}")
    print(json.dumps(summary))
    if summary.get("cpu_ratio", options.floor) < options.floor:
        sys.exit(f"The node is less than {options.floor} times better than the pipeline.")


def measure_all(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure the node and the pipeline in turn, then what concerns the node alone."""
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {SERVER_CORE} or {SERVER_CORE})
    with open_tree(home / "node") as tree, open_tree(home / "pipeline") as other:
        install_node(tree)
        node = start_node(tree)
        ours, theirs = measure_in_turn([describe(tree), start_pipeline(other)], options)
        print_table(ours, theirs)
        if options.plot:
            options.plot.write_text(draw(plot_rows(ours, theirs), (ours.name, theirs.name)))
        other.group.stop()
        busy = Shape(seconds=options.seconds, pause_seconds=16 / BUSY_PER_SECOND)
        at_work = run(go_round(describe(tree), busy))
        print(f"EXISTS at {BUSY_PER_SECOND} messages/s, p50 / p99, ms: {both(at_work)}")
        restart(node, tree)
        idle = run(measure_idle(describe(tree), options.idle, tree.group.read_memory_kib))
        print(f"KiB per idle TLS session, of {options.idle}: {idle:.1f}")
        syncs = {pairs: measure_syncs(tree, pairs, options.seconds) for pairs in (8, 16)}
        print("fdatasync per message at 8 and 16 senders:", *(f"{value:.2f}" for value in syncs.values()))
    return {
        "bench": "mail",
        "cpu_ms_per_message": round(ours.loop.cpu_ms_per_message, 3),
        "cpu_ratio": _ratio(theirs.loop.cpu_ms_per_message, ours.loop.cpu_ms_per_message),
        "group_ratio": _ratio(theirs.group_ms, ours.group_ms),
        "exists_p50_ratio": _ratio(theirs.quiet.exists_p50_ms, ours.quiet.exists_p50_ms),
        "exists_p99_ratio": _ratio(theirs.quiet.exists_p99_ms, ours.quiet.exists_p99_ms),
        "idle_kib_per_session": round(idle, 1),
        "jit_ratio": _ratio(theirs.logins.creating_ms, ours.logins.creating_ms),
        "relogin_ratio": _ratio(theirs.logins.again_ms, ours.logins.again_ms),
        "new_connection_ratio": _ratio(
            theirs.new_connection.cpu_ms_per_message, ours.new_connection.cpu_ms_per_message
        ),
        "fdatasync_per_message": round(syncs[16], 2),
    }


def measure_in_turn(targets: list[Target], options: argparse.Namespace) -> list[Figures]:
    """Measure both servers with every load, in alternating rounds."""
    rounds: dict[str, dict[str, list[Any]]] = {target.name: {} for target in targets}
    loads: dict[str, Callable[[Target], Any]] = {
        "loop": lambda target: run(go_round(target, Shape(pairs=options.pairs, seconds=options.seconds))),
        "new_connection": lambda target: run(
            go_round(target, Shape(pairs=options.pairs, seconds=options.seconds, messages_per_session=1))
        ),
        "quiet": lambda target: run(
            go_round(
                target,
                Shape(pairs=1, seconds=options.seconds, messages_per_session=10_000, pause_seconds=0.05),
            )
        ),
        "group_ms": lambda target: run(measure_group(target, 20)),
        "logins": lambda target: measure_logins(target, options.logins),
    }
    for name, load in loads.items():
        for _ in range(options.rounds):
            for target in targets:
                rounds[target.name].setdefault(name, []).append(load(target))
    return [
        Figures(name=target.name, **{name: _median(values) for name, values in rounds[target.name].items()})
        for target in targets
    ]


def measure_syncs(tree: Tree, pairs: int, seconds: float) -> float:
    """Count how often the node waits for the disk, for each message of the closed loop."""
    tree.group.stop()
    node = start_node(tree, is_traced=True)
    counts: list[int] = []

    def read_cpu_seconds() -> tuple[float, float]:
        counts.append(count_syncs(tree))  # asked for just before and just after the load
        return 0.0, 0.0

    target = describe(tree).counted_by(read_cpu_seconds)
    result = run(go_round(target, Shape(pairs=pairs, seconds=seconds)))
    tree.group.stop()
    node.wait()
    return (counts[-1] - counts[0]) / result.messages


def restart(node: "subprocess.Popen[bytes]", tree: Tree) -> None:
    """Start the node anew, so that its memory holds nothing of former loads."""
    tree.group.stop()
    node.wait()
    start_node(tree)


@contextmanager
def open_tree(home: Path) -> Iterator[Tree]:
    """Make a tree with a control group; in the end, end all that runs there."""
    group = Cgroup.make(f"madfleet-{home.parent.name}-{home.name}")
    tree = Tree(home, group, SERVER_CORE)
    try:
        yield tree
    finally:
        group.stop()
        group.remove()
        tree.unmount()


def print_table(ours: Figures, theirs: Figures) -> None:
    """Print the figures of both."""
    print(f"{'':<40}{ours.name:>18}{theirs.name:>18}")
    for (name, mine), (_, other) in zip(ours.rows(), theirs.rows(), strict=True):
        print(f"{name:<40}{mine:>18}{other:>18}")


def plot_rows(ours: Figures, theirs: Figures) -> list[Row]:
    """Choose what is drawn."""
    pairs = (
        ("CPU ms per message", ours.loop.cpu_ms_per_message, theirs.loop.cpu_ms_per_message),
        (
            "CPU ms, a connection per message",
            ours.new_connection.cpu_ms_per_message,
            theirs.new_connection.cpu_ms_per_message,
        ),
        ("CPU ms per delivery, group of 20", ours.group_ms, theirs.group_ms),
        ("CPU ms, new account and login", ours.logins.creating_ms, theirs.logins.creating_ms),
        ("CPU ms, login again", ours.logins.again_ms, theirs.logins.again_ms),
        ("EXISTS when quiet, p50, ms", ours.quiet.exists_p50_ms, theirs.quiet.exists_p50_ms),
        ("EXISTS when quiet, p99, ms", ours.quiet.exists_p99_ms, theirs.quiet.exists_p99_ms),
    )
    return [Row(*pair) for pair in pairs]


def _median(values: list[Any]) -> Any:  # noqa: ANN401 - of what a load returns: a number, or several by name
    if isinstance(values[0], float):
        return statistics.median(values)
    kind = type(values[0])
    return kind(
        **{
            name: statistics.median_low([getattr(value, name) for value in values])
            for name in kind.__dataclass_fields__
        }
    )


def _ratio(theirs: float, ours: float) -> float:
    return round(theirs / ours, 1)


if __name__ == "__main__":
    main()
