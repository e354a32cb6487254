"""The power goes while mail comes: whatever got its OK is there afterwards, exactly once. Needs root.

POWER_CUTS: how many each disk has to survive.
"""

import fcntl
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.clocks import wait_until
from support.store_crashes import TESTS, Said, check_promises, stop_and_then, write_until

pytestmark = pytest.mark.anyio

CUTS = int(os.environ.get("POWER_CUTS", "2"))
DISK_BYTES = 256 << 20
SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN: every later write fails."""
NO_LOG_FLUSH = 2

PowerCycle = Callable[[Path], None]


@contextmanager
def plain_disk(directory: Path) -> Iterator[tuple[Path, PowerCycle, PowerCycle]]:
    """A file system on a loop device; its journal is not flushed when it is cut off."""
    image = make_image(directory / "image")

    def cut(mount: Path) -> None:
        descriptor = os.open(mount, os.O_RDONLY)
        fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(descriptor)

    yield image, cut, lambda _mount: None


@contextmanager
def disk_with_volatile_cache(directory: Path) -> Iterator[tuple[Path, PowerCycle, PowerCycle]]:
    """The same on a disk that forgets what it was not told to flush."""
    image = make_image(directory / "image")
    served = directory / "served"
    served.mkdir()
    command = [sys.executable, "-m", "support.volatile_disk", str(image), str(served)]
    with subprocess.Popen(command, cwd=TESTS) as disk:
        wait_until((served / "disk").exists)
        yield (
            served / "disk",
            lambda _mount: disk.send_signal(signal.SIGUSR1),
            lambda _mount: disk.send_signal(signal.SIGUSR2),
        )
        run("umount", "--lazy", served)
        disk.wait(10)


DISKS = {"plain": plain_disk, "volatile cache": disk_with_volatile_cache}


@pytest.mark.parametrize("kind", DISKS)
def test_cut_loses_what_was_not_synced(kind: str, tmp_path: Path) -> None:
    mount = tmp_path / "mounted"
    mount.mkdir()
    with DISKS[kind](tmp_path) as (image, cut, restore):
        with mounted(image, mount):
            for name in ("synced", "careless"):
                with (mount / name).open("wb") as file:
                    file.write(b"x" * 10_000)
                    if name == "synced":
                        os.fsync(file.fileno())
            cut(mount)
        restore(mount)
        with mounted(image, mount):
            assert (mount / "synced").read_bytes() == b"x" * 10_000
            assert not (mount / "careless").exists() or (mount / "careless").stat().st_size == 0


@pytest.mark.parametrize("kind", DISKS)
async def test_acknowledged_mail_survives_power_cuts(
    kind: str, tmp_path: Path, show: Callable[[str], None]
) -> None:
    said: list[Said] = []
    mount = tmp_path / "mounted"
    mount.mkdir()
    with DISKS[kind](tmp_path) as (image, cut, restore):
        for round_ in range(CUTS):
            with mounted(image, mount):
                said += write_until(stop_and_then(lambda: cut(mount)), mount / "mail", round_)
            restore(mount)
            with mounted(image, mount):
                await check_promises(mount / "mail", said, round_ + 1)
    assert len({token for what, token in said if what == "added"}) > 10 * CUTS
    show(f"power cuts, {kind}: {CUTS}; {len(said)} answers, 0 lost, 0 doubled")


@contextmanager
def mounted(image: Path, mount: Path) -> Iterator[None]:
    """Mount an image. On leaving everything is unmounted, whatever state its disk is in."""
    with ExitStack() as stack:
        device = run("losetup", "--find", "--show", image).strip()
        stack.callback(run, "losetup", "--detach", device)
        run("mount", device, mount)
        stack.callback(run, "umount", mount)
        yield


def make_image(path: Path) -> Path:
    """Make a file with an empty file system."""
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    run("mkfs.ext4", "-q", path)
    return path


def run(*command: object) -> str:
    """Run a program of the system."""
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return done.stdout
