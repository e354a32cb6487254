"""The stores that the contract's tests run against; another backend adds one line to `BACKENDS`."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from mailnode.store.mail_store import MailStore
from mailnode.store.sqlite_store import SqliteMailStore
from support.store_memory import MemoryMailStore

Opener = Callable[[Path], AbstractAsyncContextManager[MailStore]]


@asynccontextmanager
async def open_memory(_directory: Path) -> AsyncIterator[MailStore]:
    yield MemoryMailStore()


@asynccontextmanager
async def open_sqlite(directory: Path) -> AsyncIterator[SqliteMailStore]:
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(directory)
        await store.start(stack)
        yield store


BACKENDS: dict[str, Opener] = {"memory": open_memory, "sqlite": open_sqlite}
