"""Remember allocations in a file for the next process: appended to, and written anew when it has grown.

    begin ─▶ all lines, in a file beside it, renamed ─▶ one line for each change ─▶ too long ─▶ begin again

For: the daemon, in its runtime directory, which is memory: no write waits for a disk, and no boot finds the
file. Each line is written before the client is answered, all those of a moment at once (dues.py). So a
process that is killed at any time has remembered what it said yes to.
Not for: the lines (journal_format.py), nor what becomes of them (adoption.py).
"""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from turnnode.errors import JournalFormatError
from turnnode.relay.allocation import Allocation
from turnnode.relay.dues import Dues
from turnnode.relay.journal_format import (
    HEADER,
    Recollection,
    read_journal,
    write_allocation,
    write_end,
    write_nonce_key,
)
from turnnode.relay.nonce import FiveTuple

SHORT_BYTES: Final = 1 << 20  # up to here a journal is never written anew
MAX_GROWTH: Final = 4  # beyond, it may be this many times as long as what is in force

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Journal:
    """What is remembered in one file. Trouble with the file is logged, and touches no call.

    Args:
        path: The file.
        dues: Where writing is put off to; without them each line is written at once.
        short_bytes: Up to here the file is never written anew.
    """

    def __init__(self, path: Path, dues: Dues | None = None, *, short_bytes: int = SHORT_BYTES) -> None:
        self._path = path
        self._dues = dues
        self._changed: dict[FiveTuple, Allocation | None] = {}
        self._short_bytes = short_bytes
        self._descriptor: int | None = None
        self._size_bytes = 0
        self._limit_bytes = short_bytes
        self._key_line = b""
        self._lines: dict[FiveTuple, bytes] = {}
        self._is_failing = False

    def recall(self) -> Recollection:
        """Read what the former process left; nothing, where that is of no use."""
        try:
            recollection = read_journal(self._path.read_bytes())
        except FileNotFoundError:
            return Recollection()
        except (OSError, JournalFormatError) as error:
            log.warning("journal not usable", path=str(self._path), problem=str(error))
            return Recollection()
        if recollection.unread_bytes:
            log.warning("journal read in part", unread_bytes=recollection.unread_bytes)
        return recollection

    def begin(self, nonce_key: bytes, allocations: Iterable[Allocation]) -> None:
        """Write the file anew."""
        self._key_line = write_nonce_key(nonce_key)
        self._lines = {allocation.five_tuple: write_allocation(allocation) for allocation in allocations}
        self._write_anew()

    def remember(self, allocation: Allocation) -> None:
        """Write down what an allocation is now."""
        self._change(allocation.five_tuple, allocation)

    def forget(self, allocation: Allocation) -> None:
        """Write down that an allocation has ended."""
        self._change(allocation.five_tuple, None)

    def close(self) -> None:
        """Close the file and leave it where it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _change(self, five_tuple: FiveTuple, allocation: Allocation | None) -> None:
        self._changed[five_tuple] = allocation
        if self._dues is None:
            self._write_changes()
        else:
            self._dues.owe(self._write_changes)

    def _write_changes(self) -> None:
        """Write one line for each client that something has changed for."""
        lines = []
        for five_tuple, allocation in self._changed.items():
            if allocation is not None:
                self._lines[five_tuple] = line = write_allocation(allocation)
                lines.append(line)
            elif self._lines.pop(five_tuple, None) is not None:
                lines.append(write_end(five_tuple))
        self._changed.clear()
        if lines:
            self._append(b"".join(lines))

    def _append(self, line: bytes) -> None:
        if self._descriptor is None:
            return
        try:
            written_bytes = os.write(self._descriptor, line)
        except OSError as error:
            self._give_up(error)
            return
        if written_bytes < len(line):
            self._give_up(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return
        self._is_failing = False
        self._size_bytes += len(line)
        if self._size_bytes > self._limit_bytes:
            self._write_anew()

    def _give_up(self, error: OSError) -> None:
        """Go on without a line; half of it would hide all that follow."""
        self._complain(error)
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size_bytes)

    def _write_anew(self) -> None:
        content = HEADER + self._key_line + b"".join(self._lines.values())
        draft = self._path.with_name(self._path.name + ".new")
        try:
            descriptor = _write_private(draft, content)
            draft.replace(self._path)
        except OSError as error:
            self._complain(error)
            self._limit_bytes += self._short_bytes  # not at each line from now on
            return
        self.close()
        self._descriptor, self._size_bytes = descriptor, len(content)
        self._limit_bytes = max(self._short_bytes, MAX_GROWTH * len(content))

    def _complain(self, error: OSError) -> None:
        if not self._is_failing:
            log.error(
                "calls not remembered",
                problem=str(error),
                remedy="make room in the runtime directory, then restart",
            )
        self._is_failing = True


def _write_private(path: Path, content: bytes) -> int:
    """Write a file that nobody else can read; return a descriptor that appends to it. Raises: OSError."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
