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


def fail() -> None:
    pytest.fail("its end was told although a task has it")


@pytest.fixture
def spawn() -> Spawner:
    return Spawner()


async def test_coroutine_that_never_waits_needs_no_task(spawn: Spawner) -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)

    assert run_eagerly(work(), spawn, fail)
    assert (done, spawn.tasks) == ([1], [])


async def test_coroutine_that_waits_for_futures_goes_on_without_a_task(spawn: Spawner) -> None:
    first: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    heard: list[object] = []
    ended = asyncio.Event()

    async def work() -> None:
        heard.append("began")
        heard.append(await first)
        heard.append(await asyncio.to_thread(lambda: "thread"))

    assert not run_eagerly(work(), spawn, ended.set)
    assert heard == ["began"]
    first.set_result("result")
    await ended.wait()
    assert heard == ["began", "result", "thread"]
    assert spawn.tasks == []


async def test_bare_yield_goes_on_in_one_task(spawn: Spawner) -> None:
    first: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    first.set_result("result")
    heard: list[object] = []

    async def work() -> None:
        await asyncio.sleep(0)
        async with asyncio.timeout(5):  # needs a task
            heard.append(await first)
            heard.append(await asyncio.to_thread(lambda: "thread"))
        heard.append(asyncio.current_task() is spawn.tasks[0])

    assert not run_eagerly(work(), spawn, fail)
    await spawn.tasks[0]
    assert heard == ["result", "thread", True]
    assert len(spawn.tasks) == 1


async def test_exception_before_the_first_wait_is_raised_at_once(spawn: Spawner) -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_eagerly(work(), spawn, fail)


@pytest.mark.parametrize("is_in_task", [False, True])
async def test_exception_of_what_is_awaited_reaches_the_coroutine(spawn: Spawner, is_in_task: bool) -> None:
    first: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ended = asyncio.Event()

    async def work() -> None:
        if is_in_task:
            await asyncio.sleep(0)
        with pytest.raises(ZeroDivisionError):
            await first
        ended.set()

    run_eagerly(work(), spawn, ended.set)
    first.set_exception(ZeroDivisionError())
    await ended.wait()


async def test_cancellation_reaches_the_coroutine_in_its_task(spawn: Spawner) -> None:
    cleaned: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append("cleaned")

    run_eagerly(work(), spawn, fail)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    spawn.tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await spawn.tasks[0]
    assert cleaned == ["cleaned"]
