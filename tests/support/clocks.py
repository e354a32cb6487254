"""Waiting for something that will be true soon, without guessing how soon."""

import asyncio
import time
from collections.abc import Callable

SOON_SECONDS = 10
PAUSE_SECONDS = 0.02


async def until(is_true: Callable[[], bool], within_seconds: float = SOON_SECONDS) -> None:
    """Wait until something is true; fail when it is not in time."""
    async with asyncio.timeout(within_seconds):
        while not is_true():  # noqa: ASYNC110 - what is waited for happens in other processes, too
            await asyncio.sleep(PAUSE_SECONDS)


def wait_until(is_true: Callable[[], bool], within_seconds: float = SOON_SECONDS) -> float:
    """Wait in a thread; return how many seconds it took."""
    began_at = time.monotonic()
    while not is_true():
        if time.monotonic() - began_at > within_seconds:
            raise TimeoutError(f"not true within {within_seconds} s")
        time.sleep(PAUSE_SECONDS)
    return time.monotonic() - began_at
