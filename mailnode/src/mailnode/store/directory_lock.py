"""One process per state directory.

For: sqlite_store.py, before it touches anything.
Not for: locking within the process.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailnode.store.sqlite_schema import StoreStartError

LOCK_NAME = "mailnode.lock"


@contextmanager
def hold_directory(directory: Path) -> Iterator[None]:
    """Hold a directory as one's own; the kernel lets it go when the process ends, however it ends.

    Raises:
        StoreStartError: Another process holds it, or it cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreStartError(
            f"The state directory {directory} cannot be used: {error.strerror}. "
            "Give mailnode a directory that it may write to."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StoreStartError(
                f"The state directory {directory} is in use by another mailnode (process {holder}). "
                "Stop that one, or give this one a state directory of its own."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
