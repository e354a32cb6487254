"""Attach a program to interfaces so that it outlives the process.

    no pin ─▶ link created, pinned            pinned by a former process ─▶ program replaced without a gap
    interface or rung no longer wanted ─▶ unpinned, and with that detached
    TC before Linux 6.6 ─▶ a filter (classic_filter.py), and a pin of the program to remember it by

For: links (BPF_LINK_CREATE), which the BPF file system keeps. Without such a directory, what was attached
ends with the process; a filter, when that ends in order.
Not for: which rung (ladder.py).
"""

import errno
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from turnnode.kernel.classic_filter import put_filter, remove_filter
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
_CLASSIC: Final = "tc-filter"


def attach(
    stack: ExitStack, program: int, rung: Rung, interfaces: list[Interface], directory: Path | None
) -> frozenset[str]:
    """Attach a program to all interfaces, or to none; return the names of the pins that keep it.

    Raises:
        OSError: The kernel, the driver or the file system refuses.
    """
    with ExitStack() as attempt:
        names = frozenset(
            _attach_one(attempt, program, rung, interface, directory) for interface in interfaces
        )
        stack.enter_context(attempt.pop_all())
    return names


def detach_others(directory: Path | None, kept: frozenset[str] = frozenset()) -> None:
    """Detach what this node has attached before, but for what has these names. Raises: OSError."""
    if directory is None:
        return
    for path in directory.iterdir():
        way = path.name.partition("@")[0]
        if path.name in kept or way not in {*_WAYS, _CLASSIC}:
            continue
        if way == _CLASSIC:
            remove_filter(int(path.name.partition("@")[2].partition("-")[0]))
            path.unlink()
        else:
            _detach(path)


def attach_by_filter(stack: ExitStack, program: int, interface: Interface, directory: Path | None) -> str:
    """Attach a program of TC as kernels without TCX want it; return the name of the pin. Raises: OSError."""
    name = _name_of(_CLASSIC, interface)
    put_filter(program, interface.number)
    if directory is None:
        stack.callback(remove_filter, interface.number)
        return name
    (directory / name).unlink(missing_ok=True)
    pin(program, directory / name)
    return name


def _attach_one(
    stack: ExitStack, program: int, rung: Rung, interface: Interface, directory: Path | None
) -> str:
    name = _name_of(rung, interface)
    path = None if directory is None else directory / name
    if path is not None and _replace(path, program):
        return name
    kind, flags = _WAYS[rung]
    try:
        link = create_link(program, interface.number, kind, flags)
    except OSError as error:
        if kind is AttachKind.TCX_INGRESS and error.errno == errno.EINVAL:  # the kernel knows no such link
            return attach_by_filter(stack, program, interface, directory)
        if error.errno not in {errno.EBUSY, errno.EEXIST} or directory is None or kind is not AttachKind.XDP:
            raise
        # The other mode of XDP holds the interface, by our own pin: it must go first.
        other = Rung.XDP if rung is Rung.GENERIC_XDP else Rung.GENERIC_XDP
        _detach(directory / _name_of(other, interface))
        link = create_link(program, interface.number, kind, flags)
    stack.callback(os.close, link)
    if path is not None:
        pin(link, path)
    return name


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


def _name_of(rung: str, interface: Interface) -> str:
    return f"{rung}@{interface.number}-{interface.name}"
