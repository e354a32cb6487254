"""Attach a program of TC by a filter of a clsact queue: the only way before Linux 6.6, which has TCX.

    no filter of ours ─▶ clsact (shared with others, never removed) ─▶ our filter
    our filter is there already ─▶ its program is replaced, without a gap

A filter outlives the process that made it, and so do the maps of its program: it relays until the lease ends
that the process has left there, or until the next process replaces it.

For: attachment.py, whose pins say where filters of ours are.
Not for: other filters of the same interface; they stay, behind or before ours.
"""

import errno
from concurrent.futures import ThreadPoolExecutor
from typing import Final

NAME: Final = "turnnode"
_HANDLE: Final = 1
_PLACE: Final = {"parent": "ffff:fff2", "prio": 0xC0DE, "protocol": 3}  # ingress, ours, ETH_P_ALL


def put_filter(program: int, interface: int) -> None:
    """Attach a program, or put it in the place of a former process's. Raises: OSError."""
    _ask(errno.EEXIST, "add", "clsact", interface)
    _ask(
        None,
        "replace-filter",
        "bpf",
        interface,
        _HANDLE,
        fd=program,
        name=NAME,
        classid=1,
        direct_action=True,
        **_PLACE,
    )


def remove_filter(interface: int) -> None:
    """Detach what `put_filter` has attached; nothing is no fault. Raises: OSError."""
    _ask(errno.ENOENT, "del-filter", "bpf", interface, _HANDLE, **_PLACE)


def _ask(no_fault: int | None, *request: object, **attributes: object) -> None:
    """Ask the kernel, from a thread of its own: `IPRoute` cannot be made where an event loop runs.

    Raises:
        OSError: It refuses, and for another reason than `no_fault`.
    """
    # Imported where it is needed: it takes as long to load as the rest of the node, which then serves nobody.
    from pyroute2 import IPRoute, NetlinkError  # noqa: PLC0415

    def ask() -> None:
        with IPRoute() as routes:
            try:
                routes.tc(*request, **attributes)
            except NetlinkError as error:
                if error.code != no_fault:
                    raise OSError(error.code or errno.EPROTO, f"tc: {error}") from error

    with ThreadPoolExecutor(1) as executor:
        executor.submit(ask).result()
