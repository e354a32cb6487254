"""Hear at once that another replica has changed something.

For: the hub of the channels, where PostgreSQL is the database.
Not for: what has changed; whoever hears of it looks in the database. Nothing depends on it: the hub looks
from time to time as well, so news that were lost cost seconds.
"""

import asyncio
from collections.abc import Callable

import psycopg
import structlog

from controlplane.database import CONNECT_SECONDS
from controlplane.nodes.fleet import NEWS
from nodelink.daemon.complaints import Complaints

PAUSE_SECONDS = 2.0
QUIET_SECONDS = 30.0
"""After so long without any, the connection is tried: a server that is gone says nothing, either."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def follow_news(url: str, on_news: Callable[[], None]) -> None:
    """Call `on_news` at each change, and whenever some may have been missed. Ends by cancellation only."""
    complaints = Complaints(log)
    while True:
        try:
            await _listen(url, on_news)
        except (psycopg.Error, OSError, TimeoutError) as error:
            complaints.warning("no news of the database", problem=" ".join(str(error).split()))
        await asyncio.sleep(PAUSE_SECONDS)


async def _listen(url: str, on_news: Callable[[], None]) -> None:
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="madfleet news"
    ) as connection:
        await connection.execute(f"LISTEN {NEWS}")
        on_news()  # of what was missed until now
        while True:
            async for _ in connection.notifies(timeout=QUIET_SECONDS, stop_after=1):
                on_news()
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.execute("SELECT 1")
