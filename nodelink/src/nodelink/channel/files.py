"""Small files that survive a power cut, whole or not at all."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file: after this returns the new content is on disk; before, the old one was all there.

    Raises:
        OSError: It could not be written; the old content is still there.
    """
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_directory(path.parent)


def read_if_there(path: Path) -> bytes | None:
    """Read a file; `None` where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def make_private_directory(path: Path) -> None:
    """Make a directory that only its owner can enter; one that is there already is left as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
