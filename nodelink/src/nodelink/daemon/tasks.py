"""Background work that ends with its owner.

For: parts with `start(stack)`: what they spawn is cancelled and awaited when the stack unwinds, and an
exception that nobody expected ends the daemon instead of being lost.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack

Spawn = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]


async def open_task_group(stack: AsyncExitStack) -> Spawn:
    """Open a group of tasks; return the function that adds one."""
    tasks: set[asyncio.Task[None]] = set()
    group = await stack.enter_async_context(asyncio.TaskGroup())
    stack.callback(lambda: [task.cancel() for task in tasks])

    def spawn(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = group.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    return spawn
