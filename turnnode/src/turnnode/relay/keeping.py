"""Have the service manager keep relay sockets, each under a name of its own.

For: the daemon under systemd.
Not for: listening sockets (nodelink.daemon.listeners).

The names go to the next process in one environment variable, which Linux limits to 128 KiB: so they are
short, and there is an end to them. FileDescriptorStoreMax= of the unit leaves room for as many.
"""

import re
import socket
from typing import Final

from nodelink.daemon.service_manager import ServiceManager

KEPT_SOCKETS: Final = 16_384
_NAME = re.compile(r"r(0|[1-9][0-9]{0,4})")


class ManagerKeeper:
    """Keeps up to `room` relay sockets at a service manager, under the names `r0`, `r1` and so on."""

    def __init__(self, manager: ServiceManager, room: int = KEPT_SOCKETS) -> None:
        self._manager = manager
        self._room = room
        inherited = {name: int(name[1:]) for name in manager.list_inherited() if _NAME.fullmatch(name)}
        self._inherited = [name for name, place in inherited.items() if place < room]
        taken = frozenset(inherited.values())
        self._free = [place for place in reversed(range(room)) if place not in taken]

    def take_inherited(self) -> list[tuple[str, socket.socket]]:
        """Take the relay sockets of the former process."""
        taken = [(name, one) for name in self._inherited for one in self._manager.take_inherited(name)]
        self._inherited.clear()
        return taken

    def keep(self, sock: socket.socket) -> str | None:
        """Keep a socket."""
        if not self._free:
            return None
        name = f"r{self._free.pop()}"
        self._manager.keep(name, [sock])
        return name

    def let_go(self, name: str) -> None:
        """Keep a socket no longer; its name is free."""
        self._manager.let_go(name)
        self._free.append(int(name[1:]))
