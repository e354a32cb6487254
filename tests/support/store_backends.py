"""The stores that the contract's tests run against; another backend adds one line to `BACKENDS`."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from mailnode.store.account_register import AccountRegister
from mailnode.store.sqlite_store import SqliteMailStore
from support.store_memory import MemoryMailStore

Opener = Callable[[Path], AbstractAsyncContextManager[AccountRegister]]


@asynccontextmanager
async def open_memory(_directory: Path) -> AsyncIterator[AccountRegister]:
    yield MemoryMailStore()


@asynccontextmanager
async def open_sqlite(directory: Path) -> AsyncIterator[SqliteMailStore]:
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(directory)
        await store.start(stack)
        yield store


BACKENDS: dict[str, Opener] = {"memory": open_memory, "sqlite": open_sqlite}
