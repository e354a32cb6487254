"""Maps that a program and the agent share.

For: `HashMap`, which is written by system calls, and `SharedArray`, which is also part of the agent's memory:
reading thousands of counters or renewing a lease is no system call.
Not for: what the values mean (layout.py).
"""

import mmap
import os
from contextlib import ExitStack

from turnnode.kernel.system_call import (
    MMAPABLE,
    MapKind,
    create_map,
    delete_element,
    lookup_element,
    update_element,
)


class HashMap:
    """A hash map of fixed size. Raises: OSError, also from `put`, when it is full."""

    def __init__(
        self, stack: ExitStack, *, name: str, key_bytes: int, value_bytes: int, entries: int
    ) -> None:
        self.entries = entries
        self._value_bytes = value_bytes
        self.descriptor = create_map(
            MapKind.HASH, key_bytes=key_bytes, value_bytes=value_bytes, entries=entries, flags=0, name=name
        )
        stack.callback(os.close, self.descriptor)

    def put(self, key: bytes, value: bytes) -> None:
        """Add or replace an element."""
        update_element(self.descriptor, key, value)

    def get(self, key: bytes) -> bytes | None:
        """Read an element."""
        return lookup_element(self.descriptor, key, self._value_bytes)

    def remove(self, key: bytes) -> bool:
        """Take an element out; tell whether it was there."""
        return delete_element(self.descriptor, key)


class SharedArray:
    """An array whose elements are read and written in memory. Raises: OSError, in the constructor.

    `words` are its 64-bit words; one of them is read or written at once, several are not.
    """

    def __init__(self, stack: ExitStack, *, name: str, value_bytes: int, entries: int) -> None:
        self.entries = entries
        self._value_bytes = value_bytes
        self.descriptor = create_map(
            MapKind.ARRAY, key_bytes=4, value_bytes=value_bytes, entries=entries, flags=MMAPABLE, name=name
        )
        stack.callback(os.close, self.descriptor)
        size_bytes = -(-value_bytes * entries // mmap.PAGESIZE) * mmap.PAGESIZE
        memory = stack.enter_context(mmap.mmap(self.descriptor, size_bytes))
        view = stack.enter_context(memoryview(memory))
        self.words = stack.enter_context(view.cast("Q"))
        self._bytes = stack.enter_context(self.words.cast("B"))

    def write(self, place: int, value: bytes) -> None:
        """Write an element; a program may see a part of it."""
        start = place * self._value_bytes
        self._bytes[start : start + self._value_bytes] = value

    def read(self, place: int) -> bytes:
        """Read an element."""
        start = place * self._value_bytes
        return bytes(self._bytes[start : start + self._value_bytes])


class PerProcessorArray:
    """An array that only programs use, one for each processor. Raises: OSError."""

    def __init__(self, stack: ExitStack, *, name: str, value_bytes: int) -> None:
        self.descriptor = create_map(
            MapKind.PERCPU_ARRAY, key_bytes=4, value_bytes=value_bytes, entries=1, flags=0, name=name
        )
        stack.callback(os.close, self.descriptor)
