r"""The file of a backup: one line that tells what it is and its checksum, then a compressed tar.

    madfleet-backup 1 <SHA-256 of all that follows, in hexadecimal>\n
    gzip( tar( manifest.json, controlplane.sqlite, master-key, and tls-certificate.pem, tls-key.pem if
    pinned ))

For: writing it, and reading it back into a directory. `tail --lines=+2 FILE | tar --list --gzip` looks into
it.
Not for: what the members mean (taking.py, restoring.py). Nothing is encrypted: whoever has the file has the
fleet.
"""

import gzip
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controlplane.errors import BackupError
from nodelink.contract.states import SpkiPin

FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
DATABASE: Final = "controlplane.sqlite"
MASTER_KEY: Final = "master-key"
TLS_CERTIFICATE: Final = "tls-certificate.pem"
TLS_KEY: Final = "tls-key.pem"
REQUIRED = frozenset({MANIFEST, DATABASE, MASTER_KEY})
MEMBERS = REQUIRED | {TLS_CERTIFICATE, TLS_KEY}

MAX_SMALL_BYTES = 1 << 20
"""Every member but the database is small."""
COPY_BYTES = 1 << 20
_HEADER = re.compile(rb"madfleet-backup (\d{1,6}) ([0-9a-f]{64})\n")
_HEADER_BYTES = len(f"madfleet-backup {FORMAT_VERSION} {'0' * 64}\n")


class Manifest(BaseModel):
    """What a backup is of. `tls_pin` is `None` where a CA vouches; `settings` of the host are for people."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    software_version: str = Field(max_length=64)
    created_at_seconds: int = Field(ge=0)
    fleet_name: str = Field(max_length=64)
    public_url: str = Field(max_length=300)
    tls_pin: SpkiPin | None
    settings: dict[str, str | None]


def write_archive(path: Path, manifest: Manifest, files: Mapping[str, Path]) -> None:
    """Write an archive that only its owner can read; after this returns it is on disk.

    Raises:
        OSError: It cannot be written, or one of `files` cannot be read.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        os.fchmod(descriptor, 0o600)  # one that was there may have had another mode
        file.write(bytes(_HEADER_BYTES))
        with (
            gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|") as tar,
        ):
            _add(tar, MANIFEST, manifest.model_dump_json(indent=1).encode())
            for name, source in files.items():
                tar.add(source, name, recursive=False, filter=_strip)
        file.seek(_HEADER_BYTES)
        digest = _digest_rest(file)
        file.seek(0)
        file.write(f"madfleet-backup {FORMAT_VERSION} {digest}\n".encode())
        file.flush()
        os.fsync(descriptor)


def read_archive(source: BinaryIO, directory: Path) -> Manifest:
    """Read an archive that can be sought in; put its members into a directory that is empty.

    Raises:
        BackupError: It is no backup, of another format, or damaged.
        OSError: A member cannot be written.
    """
    _check(source)
    try:
        with tarfile.open(fileobj=source, mode="r|gz") as tar:
            for entry in tar:
                if entry.name not in MEMBERS or not entry.isfile():
                    raise BackupError("The backup holds something that is none of ours. Use another one.")
                if entry.name != DATABASE and entry.size > MAX_SMALL_BYTES:
                    raise BackupError("The backup is damaged: a member is too large. Use another one.")
                content = tar.extractfile(entry)
                if content is not None:
                    _write_private(directory / entry.name, content)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise _damaged() from error
    missing = REQUIRED - {path.name for path in directory.iterdir()}
    if missing:
        raise BackupError(f"The backup is not complete: it lacks {min(missing)}. Use another one.")
    try:
        return Manifest.model_validate_json((directory / MANIFEST).read_bytes())
    except ValidationError as error:
        raise _damaged() from error


def is_archive(path: Path) -> bool:
    """Tell whether a file begins as a backup does. Raises: OSError."""
    with path.open("rb") as file:
        return _HEADER.fullmatch(file.read(_HEADER_BYTES)) is not None


def _check(source: BinaryIO) -> None:
    """See that it is a backup, whole and unaltered; leave the source where the tar begins."""
    line = source.readline(2 * _HEADER_BYTES)
    header = _HEADER.fullmatch(line)
    if header is None:
        raise BackupError("This is no backup of a control plane. Name a file that `madfleet backup` wrote.")
    if int(header[1]) != FORMAT_VERSION:
        raise BackupError(
            f"The backup has format {int(header[1])}, and this version reads {FORMAT_VERSION}. "
            "Restore it with the version that wrote it."
        )
    begin = source.tell()
    if _digest_rest(source).encode() != header[2]:
        raise _damaged()
    source.seek(begin)


def _digest_rest(file: BinaryIO) -> str:
    digest = sha256()
    while content := file.read(COPY_BYTES):
        digest.update(content)
    return digest.hexdigest()


def _damaged() -> BackupError:
    return BackupError("The backup is damaged: it is cut off or was altered. Use another one.")


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    tar.addfile(entry, BytesIO(content))


def _strip(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who owned a file, and when."""
    entry.uid = entry.gid = 0
    entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry


def _write_private(path: Path, content: IO[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(content, file, COPY_BYTES)
        file.flush()
        os.fsync(descriptor)
