"""Put the files of a restored backup in place of others, whole or not at all.

    restore.ready ──▶ state directory ──▶ before-restore
                      (what was there)

The directory `restore.ready` appears in one step, when its content was judged and is on disk. From then on
every process that opens the control plane goes on where another one was cut off; doing it twice changes
nothing.

For: restoring.py, and plane.py, which opens.
Not for: judging what is put in place (contents.py).
"""

import os
from pathlib import Path

from controlplane.backup.archive import DATABASE, MASTER_KEY, TLS_CERTIFICATE, TLS_KEY
from controlplane.key_files import FORMER_SIGNING_KEY

READY, BEFORE, TLS = "restore.ready", "before-restore", "restored-tls"
_LEFT_OVER = (f"{DATABASE}-wal", f"{DATABASE}-shm", FORMER_SIGNING_KEY)
"""What belongs to the former database. It must be gone before another one has that name."""


def complete_restore(directory: Path) -> None:
    """Put in place what is ready; nothing is, nearly always. Raises: OSError."""
    ready = directory / READY
    if not ready.is_dir():
        return
    before = directory / BEFORE
    before.mkdir(mode=0o700, exist_ok=True)
    if (ready / DATABASE).exists():  # else the files of this name are those of the new database
        for name in _LEFT_OVER:
            _move(directory / name, before / name)
    for name in (DATABASE, MASTER_KEY):
        if (ready / name).exists():
            _move(directory / name, before / name)
            _move(ready / name, directory / name)
    tls = directory / TLS
    for name in (TLS_CERTIFICATE, TLS_KEY):
        if (ready / name).exists():
            tls.mkdir(mode=0o700, exist_ok=True)
            _move(ready / name, tls / name)
    for path in (before, tls, directory):
        if path.is_dir():
            sync_directory(path)
    ready.rmdir()
    sync_directory(directory)


def sync_directory(directory: Path) -> None:
    """Have the names in a directory on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move(source: Path, target: Path) -> None:
    if source.exists():
        source.replace(target)
