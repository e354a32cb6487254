"""A control group: all processes of one server, counted and ended together.

For: the bench. Of cgroup2, whose `cpu.stat` counts without any controller; needs root.
Not for: limits.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mail.wire import BenchError

CGROUPS = Path("/sys/fs/cgroup")
KILL_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One group, by its path."""

    path: Path

    @classmethod
    def make(cls, name: str) -> "Cgroup":
        """Make an empty group."""
        unified = CGROUPS / "unified"
        group = cls((unified if unified.is_dir() else CGROUPS) / name)
        group.path.mkdir(exist_ok=True)
        return group

    def wrap(self, command: Sequence[str], core: int) -> list[str]:
        """Write a command so that it runs in this group, on one core."""
        enter = f'echo $$ >{self.path}/cgroup.procs; exec taskset --cpu-list {core} "$@"'
        return ["bash", "-c", enter, "bash", *command]

    def read_cpu_seconds(self) -> tuple[float, float]:
        """Read the user and system time of all processes that are or were in it."""
        lines = (self.path / "cpu.stat").read_text().splitlines()
        figures = {name: int(value) for name, value in (line.split() for line in lines)}
        return figures["user_usec"] / 1e6, figures["system_usec"] / 1e6

    def read_memory_kib(self) -> int:
        """Read the memory of all processes, each shared page shared out among those that have it (PSS)."""
        total = 0
        for pid in (self.path / "cgroup.procs").read_text().split():
            with suppress(OSError):  # it has just ended
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
        return total

    def stop(self) -> None:
        """Kill every process, and see them gone. Raises: BenchError."""
        (self.path / "cgroup.kill").write_text("1")
        _wait_until(lambda: "populated 0" in (self.path / "cgroup.events").read_text())

    def remove(self) -> None:
        """Remove the empty group."""
        self.path.rmdir()


def _wait_until(is_done: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + KILL_SECONDS
    while not is_done():
        if time.monotonic() > ends_at:
            raise BenchError("a server could not be ended")
        time.sleep(0.05)
