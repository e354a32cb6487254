"""Large bodies, each in a file of its own, named by the body's id.

For: sqlite_store.py; every function blocks, so it is called in a thread.
Not for: deciding when a file may go. A file is written before the commit that needs it, and removed after
the commit that lets it go, so a crash leaves a file too many, never one too few; `sweep` finds those.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from mailnode.store.mail_store import BodyId

DIRECTORY_NAME = "bodies"
LARGE_BODY_BYTES = 192 << 10
"""A body larger than this gets a file.

CPU ms to deliver, read and expunge one, by 8 senders on ext4, database : file. 60 KB 0.32 : 0.94,
120 KB 0.58 : 1.02, 250 KB 1.17 : 0.92, 500 KB 2.3 : 1.2, 1 MB 5.2 : 1.3. The wait for the commit crosses at
the same size, and a large row holds up everybody else's commit, which a file does not.
"""

SYNC_BYTES = 1 << 20
"""So much is written between two waits for the disk: commits queue up behind whatever it has to write.

A commit's wait beside files of 100 MB on ext4, ms at the 90th percentile and at worst: one wait for each file
20 and 65, one for 8 MiB 11 and 42, one for each MiB 5 and 25. The files take as long to write as before.
"""

READ_BYTES = 1 << 18
"""So much is read by one call: the kernel lets nobody else have the core in the middle of it, and the loop
would wait 15 ms again and again while a file of 100 MB is read."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BodyFile:
    """A file as it is on disk."""

    size_bytes: int
    written_at_seconds: float


@dataclass(frozen=True, slots=True)
class BodyFiles:
    """The files below one state directory."""

    state_directory: Path

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self.state_directory / DIRECTORY_NAME

    def prepare(self) -> None:
        """Make the directory, durably."""
        if not self.directory.is_dir():
            self.directory.mkdir(mode=0o700)
            _sync_directory(self.state_directory)

    def write(self, body_id: BodyId, body: bytes) -> None:
        """Write a body so that it survives a power cut. Raises: OSError, and nothing is left behind."""
        path = self.path(body_id)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                view = memoryview(body)
                while view:
                    view = view[os.write(descriptor, view[:SYNC_BYTES]) :]
                    if view:
                        os.fdatasync(descriptor)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _sync_directory(self.directory)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def read(self, body_id: BodyId) -> bytes | None:
        """Read a body; `None` when it is gone."""
        try:
            with self.path(body_id).open("rb", buffering=0) as file:
                pieces = list(iter(partial(file.read, READ_BYTES), b""))
        except FileNotFoundError:
            return None
        body = b"".join(pieces)
        while pieces:  # one after the other: to let go of 100 MB by one call takes 14 ms, with the lock
            pieces.pop()
        return body

    def remove(self, body_id: BodyId) -> None:
        """Remove a body that no message has any more. What cannot be removed goes with the next sweep."""
        try:
            self.path(body_id).unlink(missing_ok=True)
        except OSError as error:
            log.warning("body file could not be removed", error=str(error))

    def remove_all(self, body_ids: Iterable[BodyId]) -> None:
        """Remove several."""
        for body_id in body_ids:
            self.remove(body_id)

    def sweep(self, is_known: Callable[[BodyId], bool]) -> int:
        """Remove every file whose body is not known, and tell how many there were."""
        orphans = [path for path in self.directory.iterdir() if not _is_wanted(path, is_known)]
        for path in orphans:
            path.unlink()
        return len(orphans)

    def measure(self) -> dict[BodyId, BodyFile]:
        """Look at every file that is ours."""
        found: dict[BodyId, BodyFile] = {}
        for entry in os.scandir(self.directory) if self.directory.is_dir() else ():
            body_id = _read_id(entry.name)
            if body_id is not None:
                with suppress(FileNotFoundError):  # it goes just now
                    status = entry.stat()
                    found[body_id] = BodyFile(status.st_size, status.st_mtime)
        return found

    def path(self, body_id: BodyId) -> Path:
        """Tell where a body's file is, or would be."""
        return self.directory / f"{body_id:016x}"


def _is_wanted(path: Path, is_known: Callable[[BodyId], bool]) -> bool:
    body_id = _read_id(path.name)
    return body_id is None or is_known(body_id)


def _read_id(name: str) -> BodyId | None:
    """Read whose file it is; `None` when it is none of ours: an operator may have put it there."""
    try:
        return BodyId(int(name, 16))
    except ValueError:
        return None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
