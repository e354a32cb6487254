"""Run a coroutine at once, and make a task only of one that really has to wait.

For: commands. Most are answered from memory, and a task for each would cost more than the command itself.
Not for: coroutines that need a task from their first line on, as `asyncio.timeout` and `TaskGroup` do.

A coroutine is advanced by `send(None)` to its first await that does not return at once. If it ends before,
that was all. Else it has handed out what it waits for, and `_Rest` hands that to a task and then goes on.
Python 3.12 has `asyncio.eager_task_factory` for this; we run on 3.11, too.
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any

Spawn = Callable[[Coroutine[Any, Any, None]], None]


def run_eagerly(coroutine: Coroutine[Any, Any, None], spawn: Spawn) -> bool:
    """Run a coroutine as far as it goes without waiting; give the rest to `spawn`.

    Returns:
        Whether it has ended. An exception that it raises before it waits is raised here.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return True
    spawn(_finish(_Rest(coroutine, awaited)))
    return False


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
