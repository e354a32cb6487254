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
    delete_elements,
    lookup_element,
    update_element,
    update_elements,
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

    def put_all(self, elements: dict[bytes, bytes]) -> list[bytes]:
        """Add or replace elements, by one system call if all goes well; return the keys without room."""
        taken = 0
        if len(elements) > 1:
            keys, values = b"".join(elements), b"".join(elements.values())
            taken = update_elements(self.descriptor, keys, values, len(elements))
        return [key for key, value in list(elements.items())[taken:] if not self._put_one(key, value)]

    def remove_all(self, keys: list[bytes]) -> None:
        """Take elements out, by one system call if all goes well; one that is not there is no fault."""
        taken = delete_elements(self.descriptor, b"".join(keys), len(keys)) if len(keys) > 1 else 0
        for key in keys[taken:]:
            self.remove(key)

    def _put_one(self, key: bytes, value: bytes) -> bool:
        try:
            self.put(key, value)
        except OSError:
            return False
        return True

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
