"""Locks between processes on one host; the kernel releases them when a process ends, however it ends.

For: what must not happen twice at once, or not while the control plane is open.
Not for: changes to the fleet; the database orders those (nodes/fleet.py).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_USE = "in-use.lock"
"""Shared by everybody who has the control plane open; `madfleet restore` holds it alone."""


@contextmanager
def hold_lock(path: Path, *, shared: bool = False, waiting: bool = True) -> Iterator[None]:
    """Hold a lock, alone or together with others who share it.

    Raises:
        BlockingIOError: Somebody else holds it, and `waiting` is false.
        OSError: The file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, how if waiting else how | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
