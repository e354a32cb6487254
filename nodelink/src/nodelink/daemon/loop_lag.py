"""Measure how late a daemon's event loop is.

For: figures of a node: a loop that is late makes everybody wait.
Not for: finding out why.
"""

import asyncio
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from nodelink.daemon.tasks import open_task_group

PAUSE_SECONDS = 0.5
REMEMBERED = 20
"""As many pauses as two reports are apart, and once more."""


@dataclass(slots=True)
class LoopLag:
    """How late the loop was lately."""

    _lags_seconds: deque[float] = field(init=False, default_factory=lambda: deque([0.0], REMEMBERED))

    async def start(self, stack: AsyncExitStack) -> None:
        """Measure until the stack unwinds."""
        spawn = await open_task_group(stack)
        spawn(self._measure())

    @property
    def worst_seconds(self) -> float:
        """The worst of the last ten seconds."""
        return max(self._lags_seconds)

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_at = loop.time() + PAUSE_SECONDS
            await asyncio.sleep(PAUSE_SECONDS)
            self._lags_seconds.append(max(0.0, loop.time() - due_at))
