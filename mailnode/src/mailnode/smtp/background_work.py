"""Long work in a thread, beside sessions that are not to notice it.

For: large messages, which are judged byte by byte.
Not for: work that waits; any thread does for that.

A thread that computes keeps the interpreter's lock until another has asked for it for 5 ms, and whoever
submits or gets a message asks for it ten times: the loop, and the store's thread at each statement. While
there is such work, the lock changes hands after half a millisecond. At other times that would only cost
changes of threads.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import ClassVar, TypeVar

SHORT_INTERVAL_SECONDS = 0.0005

T = TypeVar("T")


class BackgroundWork:
    """Runs so many works at once; others wait."""

    _running_count: ClassVar[int] = 0
    _usual_interval_seconds: ClassVar[float] = 0.0

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)

    async def run(self, work: Callable[[], T]) -> T:
        """Do some work in a thread. Raises: as the work."""
        async with self._places:
            self._begin()
            try:
                return await asyncio.to_thread(work)
            finally:
                self._end()

    @classmethod
    def _begin(cls) -> None:
        if not cls._running_count:
            cls._usual_interval_seconds = sys.getswitchinterval()
            sys.setswitchinterval(SHORT_INTERVAL_SECONDS)
        cls._running_count += 1

    @classmethod
    def _end(cls) -> None:
        cls._running_count -= 1
        if not cls._running_count:
            sys.setswitchinterval(cls._usual_interval_seconds)
