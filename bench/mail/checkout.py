"""The mail node of this checkout, alone: it has the first core to itself, and the load has the others.

For: what is measured of the node without anything beside it (alone.py). All features are on, only the limits
of rate are off.
Not for: comparisons; those want the node as it is deployed (node.py).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mail.closed_loop import Target
from mail.node import HOST, describe_as, make_settings, wait_until_open
from self_signed import make_certificate

SERVER_CORE = 0
PROGRAM = str(Path(sys.executable).parent / "mailnode")


@dataclass(slots=True)
class Checkout:
    """The program in a directory, which may hold a store already; `ports_from` is the first of its ports."""

    directory: Path
    ports_from: int = 29_000
    _environment: dict[str, str] = field(init=False)
    _node: "subprocess.Popen[bytes] | None" = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Write its settings."""
        certificate, key = make_certificate(self.directory, HOST)
        ports = {
            "SMTP_TLS_PORT": self.ports_from + 465,
            "IMAP_TLS_PORT": self.ports_from + 993,
            "SMTP_STARTTLS_PORT": self.ports_from + 587,
            "IMAP_STARTTLS_PORT": self.ports_from + 143,
            "HTTPS_PORT": self.ports_from + 443,
            "NOTIFICATION_PROXY": "",
        }
        settings = make_settings(self.state, self.directory / "run", certificate, key, ports)
        self._environment = {**os.environ, **settings}

    @property
    def state(self) -> Path:
        """Where it keeps what is to last; the store is in `mail` there."""
        return self.directory / "state"

    @property
    def pid(self) -> int:
        """The process that runs now."""
        return 0 if self._node is None else self._node.pid

    def start(self) -> None:
        """Start it on the first core. Raises: BenchError."""
        log = self.directory / "log"
        socket = self.directory / "run" / "admin.sock"
        socket.unlink(missing_ok=True)  # a former one's
        with log.open("ab") as output:
            self._node = subprocess.Popen(
                [PROGRAM, "serve"], env=self._environment, stdout=output, stderr=output
            )
        os.sched_setaffinity(self._node.pid, {SERVER_CORE})
        wait_until_open(socket, self._node, log)

    def stop(self) -> None:
        """Let it end as a stop of the service does."""
        if self._node is not None:
            self._node.terminate()
            self._node.wait()
        self._node = None

    def command(self, *words: str) -> None:
        """Have an operator's command carried out."""
        subprocess.run([PROGRAM, *words], env=self._environment, check=True, stdout=subprocess.DEVNULL)

    def describe(self) -> Target:
        """Describe it as something to load, also after a restart."""
        return describe_as(
            lambda: read_cpu_seconds(self.pid), smtp=self.ports_from + 465, imap=self.ports_from + 993
        )

    def read_memory_kib(self) -> int:
        """Read the memory of its process (RSS): PSS would fall and rise with others that use Python."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Rss:"))


@contextmanager
def serve_checkout(directory: Path, ports_from: int = 29_000) -> Iterator[Checkout]:
    """Run the program of this checkout, open to everybody; this process leaves its core to it."""
    node = Checkout(directory, ports_from)
    try:
        node.start()
        for switch in ("open", "jit-on"):
            node.command("registration", switch)
        with leave_first_core():
            yield node
    finally:
        node.stop()


@contextmanager
def leave_first_core() -> Iterator[None]:
    """Let this process, and what it starts for the load, have all cores but the first."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {SERVER_CORE} or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def read_cpu_seconds(pid: int) -> tuple[float, float]:
    """Read user and system time of a process, all its threads together. Source: proc(5), /proc/pid/stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / ticks, int(fields[12]) / ticks
