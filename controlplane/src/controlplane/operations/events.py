"""Tell how far something is, as it goes on: server-sent events.

    data: {"state": "waiting", …}     whenever something has changed, the present state first
    : still here                      while nothing changes
                                      the stream ends when it is over

For: operations and changes of many accounts, told to programs and, as HTML, to pages.
Not for: who may hear (endpoints.py).

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import OperationalError

from controlplane.errors import ControlPlaneError
from controlplane.operations.models import BulkPublic, OperationPublic, OperationState

MEDIA_TYPE = "text/event-stream"
LOOK_SECONDS = 0.5
SIGN_OF_LIFE_SECONDS = 15.0
LONGEST_SECONDS = 600.0
"""Browsers come again by themselves; what is behind a dead connection does not stay for ever."""

EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "description": "JSON."}},
}

EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events, each with the same content as the answer without `/events`.",
        "content": {MEDIA_TYPE: {"schema": EVENT}},
    }
}
"""`responses` of an endpoint that tells events."""

Progress = OperationPublic | BulkPublic


def write_event(progress: Progress) -> str:
    """Write how far something is, as programs read it."""
    return f"data: {progress.model_dump_json()}\n\n"


async def tell_progress(
    look: Callable[[], Progress],
    look_seconds: float = LOOK_SECONDS,
    write: Callable[[Progress], str] = write_event,
) -> AsyncIterator[str]:
    """Tell how far something is until it is over. `look` reads the database and may block."""
    loop = asyncio.get_running_loop()
    ends_at, said_at = loop.time() + LONGEST_SECONDS, loop.time()
    last: Progress | None = None
    while loop.time() < ends_at:
        try:
            progress = await run_in_threadpool(look)
        except ControlPlaneError:  # forgotten, or its node was retired
            return
        except OperationalError:  # the database is busy: the next look will do
            await asyncio.sleep(look_seconds)
            continue
        if progress != last:
            last, said_at = progress, loop.time()
            yield write(progress)
        elif loop.time() - said_at >= SIGN_OF_LIFE_SECONDS:
            said_at = loop.time()
            yield ": still here\n\n"
        if progress.state is not OperationState.WAITING:
            return
        await asyncio.sleep(look_seconds)
