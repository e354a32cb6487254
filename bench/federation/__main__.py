"""Measure mail between two servers, ours beside the usual ones: `make bench-federation` (root).

    sender ─▶ home.example.org ═▶ far.example.org ─▶ recipient, who waits in IDLE, fetches and deletes

    siblings    two nodes of one fleet: what is handed over is signed by the node
    foreign     two nodes of nobody's fleet: each message is signed and verified by DKIM
    pipelines   Postfix, OpenDKIM and Dovecot, twice

The CPU is that of both ends together, by control groups; all have one core, the load another. TLS is verified
everywhere. Rounds alternate, and the median counts. The last line is JSON; its ratios are those of siblings.

Not for: mail within a server (bench/mail), or the queue (tests/full_queue).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

from federation.ours import start_foreign, start_siblings
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

SIBLINGS, FOREIGN, PIPELINES = "siblings", "foreign", "pipelines"
LOCAL = "within a node"
QUIET = ", quiet"
PAUSE_SECONDS = 0.05


def main() -> None:
    """Measure, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10, help="of one round")
    parser.add_argument("--rounds", type=int, default=3, help="of each pair of servers, in turn")
    parser.add_argument("--pairs", type=int, default=16, help="senders and recipients")
    parser.add_argument(
        "--only",
        choices=(SIBLINGS, FOREIGN, PIPELINES),
        help="one pair of servers, under load alone, for whoever looks where the time goes; no JSON",
    )
    options = parser.parse_args()
    try:
        enter_namespaces(make_node_bundle, "federation")
        with tempfile.TemporaryDirectory(
            prefix="bench-federation-", dir="/var/tmp", ignore_cleanup_errors=True
        ) as home:
            found = measure(Path(home), options)
    except (BenchError, BundleError, MachineError, OSError) as error:
        sys.exit(f"Not measured: {error}")
    _print_table(found)
    if options.only is None:
        print(json.dumps(_sum_up(found)))


def measure(home: Path, options: argparse.Namespace) -> dict[str, Result]:
    """Measure all pairs of servers in turn, and mail within one of our nodes."""
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {SERVER_CORE} or {SERVER_CORE})
    busy = Shape(pairs=options.pairs, seconds=options.seconds)
    quiet = Shape(pairs=1, seconds=options.seconds, messages_per_session=10_000, pause_seconds=PAUSE_SECONDS)
    with ExitStack() as stack:
        targets = _start(home, stack, (options.only,) if options.only else (SIBLINGS, FOREIGN, PIPELINES))
        loads = [(name, target, busy) for name, target in targets.items() if name != LOCAL or options.only]
        if options.only is None:
            loads += [(name + QUIET, target, quiet) for name, target in targets.items()]
        rounds: dict[str, list[Result]] = {}
        for _ in range(options.rounds):
            for name, target, shape in loads:
                rounds.setdefault(name, []).append(run(go_round(target, shape)))
    return {name: _median(results) for name, results in rounds.items()}


def _start(home: Path, stack: ExitStack, wanted: Sequence[str]) -> dict[str, Target]:
    """Start pairs of servers. Raises: BenchError."""
    targets: dict[str, Target] = {}
    for name in wanted:
        first, second = (stack.enter_context(open_tree(home / f"{name}-{end}")) for end in ("home", "far"))
        if name == SIBLINGS:
            targets[name], targets[LOCAL] = start_siblings(first, second)
        elif name == FOREIGN:
            targets[name], _ = start_foreign(first, second, stack)
        else:
            targets[name] = start_pipelines(first, second)
    return targets


def _print_table(found: dict[str, Result]) -> None:
    for name, result in found.items():
        print(
            f"{name:<22}CPU ms per message {result.cpu_ms_per_message:6.2f}, of which in the kernel"
            f" {result.system_ms_per_message:.2f}; messages/s {result.messages_per_second:.0f};"
            f" EXISTS p50 / p99, ms: {result.exists_p50_ms:.1f} / {result.exists_p99_ms:.1f}"
        )


def _sum_up(found: dict[str, Result]) -> dict[str, object]:
    theirs = found[PIPELINES].cpu_ms_per_message
    to_local = found[SIBLINGS + QUIET].exists_p50_ms / found[LOCAL + QUIET].exists_p50_ms
    return {
        "bench": "federation",
        "cpu_ratio": round(theirs / found[SIBLINGS].cpu_ms_per_message, 1),
        "p50_ratio_to_local": round(to_local, 2),
        "foreign_cpu_ratio": round(theirs / found[FOREIGN].cpu_ms_per_message, 1),
    }


def _median(results: list[Result]) -> Result:
    return Result(
        **{
            each.name: statistics.median_low([getattr(result, each.name) for result in results])
            for each in fields(Result)
        }
    )


if __name__ == "__main__":
    main()
