"""What is measured of the node of this checkout alone: no pipeline, no machine of Debian, seconds to minutes.

    --smoke      the closed loop
    --storm N    everybody comes back at once (storm.py)
    --large      the waits of others while somebody sends and fetches messages of 100 MB (large.py)
    --flat       the cost of a message as stores and accounts grow (flatness.py)
    --lasting N  memory over so many messages

For: __main__.py, which says how.
Not for: loads, and figures beside another server.
"""

import argparse
import asyncio
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from mail.checkout import serve_checkout
from mail.closed_loop import Result, Shape, go_round, make_password
from mail.flatness import measure_flatness
from mail.large import measure_large
from mail.storm import REFUSED_FOR_GOOD, measure_storm
from mail.wire import BenchError

T = TypeVar("T")
Summary = dict[str, Any]
PARTS = 3
"""Memory is compared after the first and after the last of so many parts of a long run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what chooses one of these measurements."""
    parser.add_argument("--smoke", action="store_true", help="the closed loop of this checkout's node only")
    parser.add_argument("--storm", type=int, metavar="N", help="so many clients of it that come back at once")
    parser.add_argument("--chosen", action="store_true", help="their passwords are those of people")
    parser.add_argument("--large", action="store_true", help="EXISTS beside messages of 100 MB")
    parser.add_argument("--large-megabytes", type=int, default=100, help="the size of those")
    parser.add_argument("--flat", action="store_true", help="CPU per message as its store grows")
    parser.add_argument(
        "--flat-share", type=float, default=1, help="of a million messages and 100,000 accounts"
    )
    parser.add_argument("--lasting", type=int, metavar="N", help="its memory over so many messages")


def choose(options: argparse.Namespace) -> Callable[[Path, argparse.Namespace], Summary] | None:
    """Tell what is to be measured of the node alone; `None` where all is."""
    measurements = {
        measure_smoke: options.smoke,
        measure_return: options.storm,
        measure_neighbours: options.large,
        measure_growth: options.flat,
        measure_memory: options.lasting,
    }
    return next((measure for measure, is_wanted in measurements.items() if is_wanted), None)


def measure_smoke(home: Path, options: argparse.Namespace) -> Summary:
    """Go round."""
    with serve_checkout(home) as node:
        result = run(go_round(node.describe(), Shape(pairs=options.pairs, seconds=options.seconds)))
    print(f"CPU ms per message {result.cpu_ms_per_message:.2f}, of which in the kernel "
          f"{result.system_ms_per_message:.2f}; messages per second {result.messages_per_second:.0f}; "
          f"EXISTS p50 / p99 {both(result)} ms")  # fmt: skip
    return {"bench": "mail-smoke", "cpu_ms_per_message": round(result.cpu_ms_per_message, 3)}


def measure_return(home: Path, options: argparse.Namespace) -> Summary:
    """Let everybody come back after a restart. Raises: BenchError, if anybody was told a wrong password."""
    with serve_checkout(home) as node:

        def restart() -> None:
            node.stop()
            node.start()

        storm = run(measure_storm(node.describe(), options.storm, restart, is_password_chosen=options.chosen))
    print(storm.describe())
    if any(REFUSED_FOR_GOOD in answer for answer in storm.answers):
        raise BenchError("somebody with the right password was told that it is wrong")
    return {
        "bench": "mail-storm-chosen" if options.chosen else "mail-storm",
        "clients": options.storm,
        "seconds": round(storm.seconds, 2),
        "cpu_seconds": round(storm.cpu_seconds, 2),
        "resumed": storm.resumed_count,
        "answers": dict(storm.answers),
    }


def measure_neighbours(home: Path, options: argparse.Namespace) -> Summary:
    """Measure how long others wait for EXISTS beside large messages."""
    with serve_checkout(home) as node:
        node.command("message-size", "set", "--size", f"{2 * options.large_megabytes}M")
        node.command("quota", "set", "--default", "--size", f"{20 * options.large_megabytes}M")
        beside = run(
            measure_large(node.describe(), options.large_megabytes << 20, options.rounds, options.seconds)
        )
    print(beside.describe())
    return {
        "bench": "mail-large",
        "megabytes": options.large_megabytes,
        "exists_p99_ms": round(beside.busy_p99_ms, 1),
        "exists_p99_ms_without": round(beside.quiet_p99_ms, 1),
    }


def measure_growth(home: Path, options: argparse.Namespace) -> Summary:
    """Measure how the cost of a message grows with a store."""
    costs = measure_flatness(home, options, lambda target, shape: run(go_round(target, shape)))
    for cost in costs:
        print(cost.describe())
    return {"bench": "mail-flat", **{cost.name: round(cost.ratio, 3) for cost in costs}}


def measure_memory(home: Path, options: argparse.Namespace) -> Summary:
    """Measure whether memory grows while many messages pass."""
    part = options.lasting // PARTS
    with serve_checkout(home) as node:
        # The same accounts all the time: those that are in use are kept in memory, and are no leak.
        same = (secrets.token_hex(3), make_password())
        memory_kib = []
        passed = 0
        for number in range(1, PARTS + 1):
            while passed < number * part:
                shape = Shape(pairs=options.pairs, seconds=options.seconds, messages_per_session=10)
                passed += run(go_round(node.describe(), shape, same)).messages
            memory_kib.append(node.read_memory_kib())
            print(f"After {passed} messages {memory_kib[-1]} KiB", flush=True)
    return {
        "bench": "mail-lasting",
        "messages": passed,
        "memory_kib": memory_kib,
        "memory_ratio": round(memory_kib[-1] / memory_kib[0], 3),
    }


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a load on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def both(result: Result) -> str:
    """Write both percentiles of a result, in milliseconds."""
    return f"{result.exists_p50_ms:.1f} / {result.exists_p99_ms:.1f}"
