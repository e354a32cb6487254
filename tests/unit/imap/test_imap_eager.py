"""Coroutines that run at once, and those that must wait."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from mailnode.imap.eager import run_eagerly

pytestmark = pytest.mark.anyio


class Spawner:
    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    def __call__(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))


@pytest.fixture
def spawn() -> Spawner:
    return Spawner()


async def test_coroutine_that_never_waits_needs_no_task(spawn: Spawner) -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    assert run_eagerly(work(), spawn)
    assert (done, spawn.tasks) == ([1], [])


async def test_coroutine_that_waits_goes_on_in_one_task(spawn: Spawner) -> None:
    first: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    heard: list[object] = []

    async def work() -> None:
        heard.append("began")
        heard.append(await first)
        await asyncio.sleep(0)
        async with asyncio.timeout(5):  # needs a task
            heard.append(await asyncio.to_thread(lambda: "thread"))
        heard.append(asyncio.current_task() is spawn.tasks[0])

    assert not run_eagerly(work(), spawn)
    assert heard == ["began"]
    first.set_result("result")
    await spawn.tasks[0]
    assert heard == ["began", "result", "thread", True]
    assert len(spawn.tasks) == 1


async def test_bare_yield_goes_on_in_a_task(spawn: Spawner) -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    assert not run_eagerly(work(), spawn)
    await spawn.tasks[0]


async def test_exception_before_the_first_wait_is_raised_at_once(spawn: Spawner) -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_eagerly(work(), spawn)


async def test_exception_of_what_is_awaited_reaches_the_coroutine(spawn: Spawner) -> None:
    first: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    caught: list[str] = []

    async def work() -> None:
        try:
            await first
        except ZeroDivisionError:
            caught.append("caught")
            raise

    run_eagerly(work(), spawn)
    first.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await spawn.tasks[0]
    assert caught == ["caught"]


async def test_cancellation_reaches_the_coroutine_wherever_it_waits(spawn: Spawner) -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append("cleaned")

    run_eagerly(work(), spawn)
    await asyncio.sleep(0)
    spawn.tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await spawn.tasks[0]
    assert cleaned == ["cleaned"]
