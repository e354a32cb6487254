"""Backups that are not what they should be, with a checksum that holds all the same."""

import gzip
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path


def read_members(backup: Path) -> dict[str, bytes]:
    """Read what is in a backup, by the tools that its documentation names."""
    with backup.open("rb") as file:
        file.readline()
        with tarfile.open(fileobj=file, mode="r|gz") as tar:
            return {entry.name: content.read() for entry in tar if (content := tar.extractfile(entry))}


def write_members(members: Mapping[str, bytes], version: int = 1) -> bytes:
    """Write a backup with these members, the way ours are written."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, BytesIO(content))
    return seal(gzip.compress(packed.getvalue()), version)


def seal(payload: bytes, version: int = 1) -> bytes:
    """Put the first line before whatever shall pass for the rest of a backup."""
    return f"madfleet-backup {version} {sha256(payload).hexdigest()}\n".encode() + payload
