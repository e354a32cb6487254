"""Take no new accounts while the host is short of something; who has an account already notices nothing.

    every MEASURE_SECONDS: loop lag, memory, disk ─▶ find_shortage ─▶ a reason, or None

For: accounts.py, which asks before it creates, and the report, which tells the reason.
Not for: how many accounts one network may make (rate_limit.py).

The load is measured by how late our own event loop is: the host's load average tells of other programs, and
of waiting for disks, too.

Source: chatmail relays do so, with 200 MB of memory and 1 GB of disk.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from nodelink.daemon.tasks import open_task_group

MEASURE_SECONDS = 5.0
MAX_LOOP_LAG_SECONDS = 2.0
MIN_MEMORY_BYTES = 200_000_000
MIN_DISK_BYTES = 1_000_000_000
MEMORY_FILE = Path("/proc/meminfo")

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Resources:
    """What there is at one moment."""

    loop_lag_seconds: float
    memory_bytes: int
    disk_bytes: int


@dataclass(slots=True, kw_only=True)
class Brake:
    """Looks at the host from time to time. Before the first look there is no shortage."""

    directory: Path
    read_loop_lag: Callable[[], float]
    shortage: str | None = field(init=False, default=None)

    async def start(self, stack: AsyncExitStack) -> None:
        """Look from time to time, until the stack unwinds."""
        await self._look()
        spawn = await open_task_group(stack)
        spawn(self._keep_looking())

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(MEASURE_SECONDS)
            await self._look()

    async def _look(self) -> None:
        try:
            memory_bytes, disk_bytes = await asyncio.to_thread(measure, self.directory)
        except (OSError, ValueError) as error:
            log.warning("resources not measured", problem=str(error))
            return
        shortage = find_shortage(Resources(self.read_loop_lag(), memory_bytes, disk_bytes))
        if shortage != self.shortage:
            self.shortage = shortage
            log.warning("new accounts again" if shortage is None else "no new accounts", reason=shortage)


def find_shortage(resources: Resources) -> str | None:
    """Find what there is too little of for more accounts; `None` where there is enough."""
    if resources.disk_bytes < MIN_DISK_BYTES:
        return "less than 1 GB of the disk is free"
    if resources.memory_bytes < MIN_MEMORY_BYTES:
        return "less than 200 MB of memory is free"
    if resources.loop_lag_seconds > MAX_LOOP_LAG_SECONDS:
        return "the node cannot keep up"
    return None


def measure(directory: Path) -> tuple[int, int]:
    """Measure the memory that programs can still get, and the free disk. Raises: OSError, ValueError."""
    for line in MEMORY_FILE.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            state = os.statvfs(directory)
            return int(value.split()[0]) * 1024, state.f_bavail * state.f_frsize
    raise ValueError(f"{MEMORY_FILE} has no MemAvailable")
