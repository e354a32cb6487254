"""A disk with a volatile write cache, as one file `disk`: what was not flushed is gone at a power cut.

    python -m support.volatile_disk FILE DIRECTORY

SIGUSR1 cuts the power: what waits is forgotten, and nothing can be read or written until SIGUSR2.
Needs /dev/fuse and libfuse.
"""

import errno
import os
import signal
import stat
import sys
from collections.abc import Mapping

import mfusepy

BLOCK_BYTES = 4096


class VolatileDisk(mfusepy.Operations):  # type: ignore[misc] # the library has no types
    """Keeps written blocks in memory until they are flushed into the file."""

    use_ns = True

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._size_bytes = os.fstat(self._file).st_size
        self._unflushed: dict[int, bytes] = {}
        self._has_power = True

    def cut(self) -> None:
        """Lose what was not flushed."""
        self._unflushed.clear()
        self._has_power = False

    def power(self) -> None:
        """Work again."""
        self._has_power = True

    def getattr(self, path: str, _handle: int | None = None) -> Mapping[str, int]:
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
        if path == "/disk":
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": self._size_bytes}
        raise mfusepy.FuseOSError(errno.ENOENT)

    def readdir(self, _path: str, _handle: int) -> list[str]:
        return [".", "..", "disk"]

    def open(self, _path: str, _flags: int) -> int:
        return 0

    def read(self, _path: str, size: int, offset: int, _handle: int) -> bytes:
        self._need_power()
        first, skipped = divmod(offset, BLOCK_BYTES)
        last = (offset + size - 1) // BLOCK_BYTES
        data = b"".join(self._read_block(number) for number in range(first, last + 1))
        return data[skipped : skipped + size]

    def write(self, _path: str, data: bytes, offset: int, _handle: int) -> int:
        self._need_power()
        done = 0
        while done < len(data):
            number, begin = divmod(offset + done, BLOCK_BYTES)
            piece = data[done : done + BLOCK_BYTES - begin]
            block = self._read_block(number) if len(piece) < BLOCK_BYTES else piece
            self._unflushed[number] = block[:begin] + piece + block[begin + len(piece) :]
            done += len(piece)
        return done

    def fsync(self, _path: str, _is_data_only: int, _handle: int) -> int:
        self._need_power()
        for number, block in self._unflushed.items():
            os.pwrite(self._file, block, number * BLOCK_BYTES)
        self._unflushed.clear()
        return 0

    def _read_block(self, number: int) -> bytes:
        block = self._unflushed.get(number)
        return os.pread(self._file, BLOCK_BYTES, number * BLOCK_BYTES) if block is None else block

    def _need_power(self) -> None:
        if not self._has_power:
            raise mfusepy.FuseOSError(errno.EIO)


def main() -> None:
    """Serve until the directory is unmounted."""
    disk = VolatileDisk(sys.argv[1])
    signal.signal(signal.SIGUSR1, lambda *_: disk.cut())
    signal.signal(signal.SIGUSR2, lambda *_: disk.power())
    mfusepy.FUSE(disk, sys.argv[2], foreground=True, nothreads=True)


if __name__ == "__main__":
    main()
