"""Connections that read: one for the loop, and a few for threads.

For: sqlite_store.py.
Not for: writing, or what is read.

A read holds its snapshot only while its rows are fetched: a snapshot held for long would keep the write-ahead
log from being reused, and let it grow.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from mailnode.store.mail_store import StoreUnavailableError
from mailnode.store.sqlite_schema import open_reader

READER_THREADS = 2

T = TypeVar("T")
Read = Callable[[sqlite3.Connection], T]


class Readers:
    """Reads the database at a path; it must exist, and `close` must be called."""

    def __init__(self, path: Path) -> None:
        self._own = open_reader(path)
        self._all = [open_reader(path) for _ in range(READER_THREADS)]
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for connection in self._all:
            self._idle.put(connection)
        self._threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="store-reader")

    def read(self, read: Read[T]) -> T:
        """Read something small, here and now. Raises: StoreUnavailableError."""
        return _run(self._own, read)

    async def read_in_thread(self, read: Read[T]) -> T:
        """Read something that may take its time. Raises: StoreUnavailableError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read_in_thread, read)

    def close(self) -> None:
        """End the threads and close the connections."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for connection in (self._own, *self._all):
            connection.close()

    def _read_in_thread(self, read: Read[T]) -> T:
        connection = self._idle.get()
        try:
            return _run(connection, read)
        finally:
            self._idle.put(connection)


def _run(connection: sqlite3.Connection, read: Read[T]) -> T:
    try:
        return read(connection)
    except sqlite3.Error as error:
        raise StoreUnavailableError("The mail store cannot be read at this moment.") from error
