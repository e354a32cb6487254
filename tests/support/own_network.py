"""A network of a test's own: what its thread opens and starts is in it, and nothing else can be reached.

For: tests that need addresses and ports as servers have them, IPv6 among them. Needs root.
Not for: several hosts (kernel_network.py), or a thread of its own for it (destinations.py).
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def own_network(*addresses: str) -> Iterator[None]:
    """Move this thread into a new network with these addresses, until the block ends.

    Threads and programs that are started inside are there, too. Source: unshare(2), setns(2).
    """
    with Path("/proc/thread-self/ns/net").open("rb") as outside:
        _check(_libc.unshare(CLONE_NEWNET))
        try:
            _ip("link", "set", "lo", "up")
            for address in addresses:
                _ip("addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
            yield
        finally:
            _check(_libc.setns(outside.fileno(), CLONE_NEWNET))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
