"""Attach a program to interfaces so that it outlives the process.

    no pin ─▶ link created, pinned            pinned by a former process ─▶ program replaced without a gap
    interface or rung no longer wanted ─▶ unpinned, and with that detached

For: links (BPF_LINK_CREATE), which the BPF file system keeps. Without such a directory, what was attached
ends with the process.
Not for: which rung (ladder.py).
"""

import errno
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from turnnode.kernel.route_messages import Interface
from turnnode.kernel.rungs import Rung
from turnnode.kernel.system_call import (
    AttachKind,
    create_link,
    detach_link,
    open_pinned,
    pin,
    update_link,
)

_WAYS: Final = {
    Rung.XDP: (AttachKind.XDP, 1 << 2),
    Rung.GENERIC_XDP: (AttachKind.XDP, 1 << 1),
    Rung.TC: (AttachKind.TCX_INGRESS, 0),
}


def attach(
    stack: ExitStack, program: int, rung: Rung, interfaces: list[Interface], directory: Path | None
) -> None:
    """Attach a program to all interfaces, or to none.

    Raises:
        OSError: The kernel, the driver or the file system refuses.
    """
    with ExitStack() as attempt:
        for interface in interfaces:
            _attach_one(attempt, program, rung, interface, directory)
        stack.enter_context(attempt.pop_all())


def detach_others(directory: Path | None, rung: Rung, interfaces: list[Interface]) -> None:
    """Detach what this node has attached before, in another way or elsewhere. Raises: OSError."""
    if directory is None:
        return
    kept = {_name_of(rung, interface) for interface in interfaces}
    for path in directory.iterdir():
        if path.name not in kept and path.name.startswith(tuple(f"{way}@" for way in _WAYS)):
            _detach(path)


def _attach_one(
    stack: ExitStack, program: int, rung: Rung, interface: Interface, directory: Path | None
) -> None:
    path = None if directory is None else directory / _name_of(rung, interface)
    if path is not None and _replace(path, program):
        return
    kind, flags = _WAYS[rung]
    try:
        link = create_link(program, interface.number, kind, flags)
    except OSError as error:
        if error.errno not in {errno.EBUSY, errno.EEXIST} or directory is None or kind is not AttachKind.XDP:
            raise
        # The other mode of XDP holds the interface, by our own pin: it must go first.
        other = Rung.XDP if rung is Rung.GENERIC_XDP else Rung.GENERIC_XDP
        _detach(directory / _name_of(other, interface))
        link = create_link(program, interface.number, kind, flags)
    stack.callback(os.close, link)
    if path is not None:
        pin(link, path)


def _replace(path: Path, program: int) -> bool:
    """Put a program in the place of a former process's; `False` if there is none any more."""
    try:
        link = open_pinned(path)
    except FileNotFoundError:
        return False
    try:
        update_link(link, program)
    except OSError:
        path.unlink()
        return False
    finally:
        os.close(link)
    return True


def _detach(path: Path) -> None:
    """Detach at once; without the right to do so, the kernel does it some time after the file is gone."""
    try:
        link = open_pinned(path)
        try:
            detach_link(link)
        finally:
            os.close(link)
    finally:
        path.unlink()


def _name_of(rung: Rung, interface: Interface) -> str:
    return f"{rung}@{interface.number}-{interface.name}"
