"""Start a mail node by itself, on a core of its own, and measure it: `make bench-mail`.

For: figures of the node as it is deployed, all features on but the limits of rate.
Not for: the load itself (closed_loop.py).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mail.closed_loop import BenchError, Target, run
from self_signed import make_certificate

HOST, DOMAIN = "127.0.0.1", "[127.0.0.1]"
SMTP_PORT, IMAP_PORT = 28465, 28993
PROGRAM = str(Path(sys.executable).parent / "mailnode")
READY_SECONDS = 30


@contextmanager
def serving(directory: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a mail node with open registration on the first core; the load has the others."""
    certificate, key = make_certificate(directory, HOST)
    settings = {
        "STATE_DIRECTORY": directory / "state",
        "RUNTIME_DIRECTORY": directory / "run",
        "MAIL_DOMAIN": DOMAIN,
        "LISTEN_ADDRESSES": HOST,
        "TLS_CERTIFICATE": certificate,
        "TLS_KEY": key,
        "SUPPORT_CONTACT": "mailto:admin@example.org",
        "SMTP_TLS_PORT": SMTP_PORT,
        "IMAP_TLS_PORT": IMAP_PORT,
        "SMTP_STARTTLS_PORT": 28587,
        "IMAP_STARTTLS_PORT": 28143,
        "HTTPS_PORT": 28443,
        "MESSAGES_PER_MINUTE": 0,
        "NEW_ACCOUNTS_PER_MINUTE": 0,
    }
    environment = {**os.environ, **{f"MAILNODE_{name}": str(value) for name, value in settings.items()}}
    cores = sorted(os.sched_getaffinity(0))
    with (directory / "log").open("wb") as log:
        node = subprocess.Popen([PROGRAM, "serve"], env=environment, stdout=log, stderr=log)
    try:
        os.sched_setaffinity(node.pid, cores[:1])
        os.sched_setaffinity(0, cores[1:] or cores)
        _wait_until_open(directory, node)
        for switch in ("open", "jit-on"):
            subprocess.run(
                [PROGRAM, "registration", switch], env=environment, check=True, stdout=subprocess.DEVNULL
            )
        yield node
    finally:
        node.terminate()
        node.wait()


def _wait_until_open(directory: Path, node: "subprocess.Popen[bytes]") -> None:
    ends_at = time.monotonic() + READY_SECONDS
    while not (directory / "run" / "admin.sock").exists():
        if node.poll() is not None or time.monotonic() > ends_at:
            sys.exit("The mail node does not start:\n" + (directory / "log").read_text())
        time.sleep(0.05)


def main() -> None:
    """Measure, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10, help="how long to measure")
    parser.add_argument("--pairs", type=int, default=16, help="senders and recipients")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-mail-") as directory, serving(Path(directory)) as node:
        target = Target(
            host=HOST,
            pid=node.pid,
            domain=DOMAIN,
            smtp_port=SMTP_PORT,
            imap_port=IMAP_PORT,
            pairs=arguments.pairs,
            seconds=arguments.seconds,
        )
        try:
            result = run(target)
        except (BenchError, OSError) as error:
            sys.exit(f"Not measured: {error}")
    print(result.as_table())
    print(result.as_json())


if __name__ == "__main__":
    main()
