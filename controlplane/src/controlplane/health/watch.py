"""Look at the fleet all the time, and keep what is seen.

For: every replica; two that look at once keep a minute once.
Not for: what is kept (samples.py).
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import IntegrityError, OperationalError

from controlplane.health.samples import keep_samples
from controlplane.plane import Plane
from nodelink.daemon.tasks import open_task_group

EVERY_SECONDS = 5.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HealthWatch:
    """What looks."""

    plane: Plane
    clock: Callable[[], float]
    every_seconds: float = EVERY_SECONDS

    async def start(self, stack: AsyncExitStack) -> None:
        """Look again and again until the stack unwinds."""
        spawn = await open_task_group(stack)
        spawn(self._run())

    def look(self) -> None:
        """Keep this minute if nobody has."""
        try:
            with self.plane.sessions.begin() as session:
                keep_samples(session, int(self.clock()))
        except IntegrityError:
            return  # another replica was faster

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.every_seconds)  # nodes shall have come back after a start
            try:
                await asyncio.to_thread(self.look)
            except OperationalError as error:
                log.warning("database busy", cause=str(error.orig))
