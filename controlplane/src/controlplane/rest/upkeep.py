"""Forget in time what is kept only so long: names in the audit log, operations, answers for repeats.

For: every replica; two that do it at once do it once.
Not for: deciding how long (admins/audit.py, idempotency.py).
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import OperationalError

from controlplane.admins.audit import hash_old_subjects
from controlplane.operations.service import forget_done
from controlplane.plane import Plane
from controlplane.rest.idempotency import forget_answers
from nodelink.daemon.tasks import open_task_group

EVERY_SECONDS = 600.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What looks from time to time."""

    plane: Plane
    clock: Callable[[], float]
    every_seconds: float = EVERY_SECONDS

    async def start(self, stack: AsyncExitStack) -> None:
        """Look now, and again and again until the stack unwinds."""
        spawn = await open_task_group(stack)
        spawn(self._run())

    def tidy(self) -> int:
        """Forget what is due; return how many names have become hashes."""
        now_seconds = int(self.clock())
        hashed = 0
        while True:  # in batches, so that no other writer waits long
            with self.plane.sessions.begin() as session:
                batch = hash_old_subjects(session, self.plane.vault, now_seconds)
                forget_answers(session, now_seconds)
                forget_done(session, now_seconds)
            hashed += batch
            if not batch:
                return hashed

    async def _run(self) -> None:
        while True:
            try:
                hashed = await asyncio.to_thread(self.tidy)
            except OperationalError as error:
                log.warning("database busy", cause=str(error.orig))
            else:
                if hashed:
                    log.info("old names hashed", count=hashed)
            await asyncio.sleep(self.every_seconds)
