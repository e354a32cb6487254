"""Measure mail between two servers, ours beside the usual ones: `make bench-federation` (root).

    sender ─▶ home.example.org ═▶ far.example.org ─▶ recipient, who waits in IDLE, fetches and deletes

The CPU is that of both ends together, by control groups; both have one core, the load another. A message
is signed by the one and verified by the other, over TLS with verified certificates. Rounds alternate, and
the median counts. The last line is JSON.

Not for: mail within a server (bench/mail), or the queue (tests/full_queue).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

from federation.ours import start_nodes
from federation.pipelines import start_pipelines
from lab_machines import MachineError
from mail.__main__ import open_tree
from mail.alone import run
from mail.checkout import SERVER_CORE
from mail.closed_loop import Result, Shape, Target, go_round
from mail.node import make_node_bundle
from mail.tree import enter_namespaces
from mail.wire import BenchError
from wheels import BundleError

PAUSE_SECONDS = 0.05


def main() -> None:
    """Measure, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10, help="of one round")
    parser.add_argument("--rounds", type=int, default=3, help="of each pair of servers, in turn")
    parser.add_argument("--pairs", type=int, default=16, help="senders and recipients")
    options = parser.parse_args()
    try:
        enter_namespaces(make_node_bundle, "federation")
        with tempfile.TemporaryDirectory(
            prefix="bench-federation-", dir="/var/tmp", ignore_cleanup_errors=True
        ) as home:
            summary = measure(Path(home), options)
    except (BenchError, BundleError, MachineError, OSError) as error:
        sys.exit(f"Not measured: {error}")
    print(json.dumps(summary))


def measure(home: Path, options: argparse.Namespace) -> dict[str, object]:
    """Measure both pairs of servers in turn, and mail within one of our nodes."""
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {SERVER_CORE} or {SERVER_CORE})
    busy = Shape(pairs=options.pairs, seconds=options.seconds)
    quiet = Shape(pairs=1, seconds=options.seconds, messages_per_session=10_000, pause_seconds=PAUSE_SECONDS)
    with ExitStack() as stack:
        trees = [
            stack.enter_context(open_tree(home / name))
            for name in ("node-home", "node-far", "pipeline-home", "pipeline-far")
        ]
        ours, local = start_nodes(trees[0], trees[1], stack)
        theirs = start_pipelines(trees[2], trees[3])
        loads: list[tuple[str, Target, Shape]] = [
            ("ours", ours, busy),
            ("theirs", theirs, busy),
            ("ours, quiet", ours, quiet),
            ("theirs, quiet", theirs, quiet),
            ("ours within a node, quiet", local, quiet),
        ]
        rounds: dict[str, list[Result]] = {}
        for _ in range(options.rounds):
            for name, target, shape in loads:
                rounds.setdefault(name, []).append(run(go_round(target, shape)))
    found = {name: _median(results) for name, results in rounds.items()}
    for name, result in found.items():
        print(
            f"{name:<28}CPU ms per message {result.cpu_ms_per_message:6.2f}, of which in the kernel"
            f" {result.system_ms_per_message:.2f}; messages/s {result.messages_per_second:.0f};"
            f" EXISTS p50 / p99, ms: {result.exists_p50_ms:.1f} / {result.exists_p99_ms:.1f}"
        )
    ratio = found["theirs"].cpu_ms_per_message / found["ours"].cpu_ms_per_message
    to_local = found["ours, quiet"].exists_p50_ms / found["ours within a node, quiet"].exists_p50_ms
    return {"bench": "federation", "cpu_ratio": round(ratio, 1), "p50_ratio_to_local": round(to_local, 2)}


def _median(results: list[Result]) -> Result:
    return Result(
        **{
            each.name: statistics.median_low([getattr(result, each.name) for result in results])
            for each in fields(Result)
        }
    )


if __name__ == "__main__":
    main()
