"""Run a coroutine at once, go on with it when its futures are done, and make a task only where one is needed.

For: commands. Most are answered from memory, most others wait for one future of the store, and a task for
each would cost more than the command itself.
Not for: coroutines that need a task before they have given up their turn, as `asyncio.timeout` and
`TaskGroup` do: they begin with `await asyncio.sleep(0)`.

    send(None) ─▶ ended
        ▲   └──▶ a future ─▶ done ─┐
        └──────────────────────────┘
            └──▶ a bare yield, as of `asyncio.sleep(0)` ─▶ a task, to the end

Whoever is to be cancelled must be in a task; what waits for a future here goes on when that is done.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

Spawn = Callable[[Coroutine[Any, Any, None]], None]


def run_eagerly(coroutine: Coroutine[Any, Any, None], spawn: Spawn, on_end: Callable[[], None]) -> bool:
    """Run a coroutine as far as it goes without waiting; go on with it later, or give the rest to `spawn`.

    `on_end` is called when it ends later without `spawn`.

    Returns:
        Whether it has ended. An exception that it raises before it waits is raised here.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return True
    _wait(coroutine, spawn, on_end, awaited)
    return False


def _wait(
    coroutine: Coroutine[Any, Any, None], spawn: Spawn, on_end: Callable[[], None], awaited: object
) -> None:
    if isinstance(awaited, asyncio.Future):
        awaited._asyncio_future_blocking = False  # noqa: SLF001 - whoever drives a coroutine takes it back
        awaited.add_done_callback(partial(_resume, coroutine, spawn, on_end))
    else:
        spawn(_finish(_Rest(coroutine, awaited)))


def _resume(
    coroutine: Coroutine[Any, Any, None],
    spawn: Spawn,
    on_end: Callable[[], None],
    _: "asyncio.Future[Any]",
) -> None:
    try:
        awaited = coroutine.send(None)  # it takes the future's result, or its exception, itself
    except StopIteration:
        on_end()
    else:
        _wait(coroutine, spawn, on_end, awaited)


class _Rest:
    """What is left of a coroutine that has handed out `awaited`."""

    __slots__ = ("_awaited", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, None], awaited: object) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        awaited = self._awaited
        try:
            while True:
                try:
                    result = yield awaited
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine, as does a cancellation
                    awaited = self._coroutine.throw(error)
                else:
                    awaited = self._coroutine.send(result)
        except StopIteration:
            return
        finally:
            self._coroutine.close()


async def _finish(rest: _Rest) -> None:
    await rest
