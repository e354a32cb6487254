"""Measure what the mail store takes of its disk.

Not for: what accounts hold, which the store knows (quotas).
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What is taken, and of what, in bytes."""

    store_bytes: int
    disk_bytes: int
    disk_free_bytes: int


def measure_disk(directory: Path) -> DiskUsage:
    """Measure a directory with all that is in it; files that vanish meanwhile are not counted."""
    disk = shutil.disk_usage(directory)
    return DiskUsage(_measure_directory(directory), disk.total, disk.free)


def _measure_directory(directory: Path) -> int:
    size_bytes = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                size_bytes += os.lstat(os.path.join(path, name)).st_blocks * 512  # noqa: PTH118 - ten times as fast as Path, for 100,000 files
            except FileNotFoundError:
                continue
    return size_bytes
