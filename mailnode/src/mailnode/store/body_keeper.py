"""Where a body goes and where it is found again: memory, the database, or a file.

For: sqlite_store.py.
Not for: statements (sqlite_bodies.py) or files as such (body_files.py).
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

from mailnode.store import sqlite_bodies
from mailnode.store.body_cache import BodyCache
from mailnode.store.body_files import BodyFiles
from mailnode.store.headers import measure_header
from mailnode.store.mail_store import BodyId, StoreUnavailableError
from mailnode.store.sqlite_bodies import StoredBody
from mailnode.store.sqlite_readers import Readers
from mailnode.store.sqlite_writer import Transaction, Writer

log: structlog.stdlib.BoundLogger = structlog.get_logger()
T = TypeVar("T")


class BodyKeeper:
    """Knows every body of one store. Ids grow and are never given twice while the process lives."""

    def __init__(
        self, files: BodyFiles, threads: ThreadPoolExecutor, writer: Writer, readers: Readers
    ) -> None:
        self._files = files
        self._threads = threads
        self._writer = writer
        self._readers = readers
        self._cache = BodyCache()
        self._ids = itertools.count(readers.read(sqlite_bodies.find_last_body) + 1)

    async def prepare(self) -> None:
        """Make the directory of files; remove those that a crash has left."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._files.prepare)
        count = await self._readers.read_in_thread(
            lambda reader: self._files.sweep(partial(sqlite_bodies.has_body, reader))
        )
        if count:
            log.info("body files without a message removed", count=count)

    async def store(self, body: bytes, operation: Callable[[Transaction, StoredBody], T]) -> T:
        """Commit an operation that needs a body in its place. Raises: as the operation."""
        stored = StoredBody.split(BodyId(next(self._ids)), body)
        if stored.is_in_file:
            await self._write_file(stored.id, body)
        else:
            self._cache.put(stored.id, body)
        try:
            return await self._writer.submit(
                lambda transaction: operation(transaction, stored),
                0 if stored.is_in_file else len(body),
            )
        except StoreUnavailableError:
            self._cache.drop(stored.id)
            if stored.is_in_file:
                self._files.remove(stored.id)
            raise

    async def read(self, body_id: BodyId) -> bytes | None:
        """Read a whole body; `None` when it is gone."""
        body = self._cache.get(body_id)
        if body is not None:
            return body
        return await self._readers.read_in_thread(
            lambda reader: sqlite_bodies.read_body(reader, self._files, body_id)
        )

    async def read_header(self, body_id: BodyId) -> bytes | None:
        """Read a body's header; `None` when it is gone."""
        body = self._cache.get(body_id)
        if body is not None:
            return body[: measure_header(body)]
        return await self._readers.read_in_thread(
            lambda reader: sqlite_bodies.read_header(reader, self._files, body_id)
        )

    def forget(self, body_ids: Iterable[BodyId]) -> None:
        """Keep these bodies in memory no longer."""
        for body_id in body_ids:
            self._cache.drop(body_id)

    async def _write_file(self, body_id: BodyId, body: bytes) -> None:
        self._writer.reserve(len(body))
        job = self._threads.submit(self._files.write, body_id, body)
        try:
            await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            job.add_done_callback(lambda _: self._files.remove(body_id))  # the thread works on until then
            raise
        except OSError as error:
            log.error("body file cannot be written; free space or mend the disk", error=str(error))  # noqa: TRY400 - the trace adds nothing
            raise StoreUnavailableError("The mail store cannot write at this moment.") from error
        finally:
            self._writer.release(len(body))
