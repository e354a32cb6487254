"""Talk to systemd: readiness, watchdog, and the file descriptor store.

For: whoever supervises the process; without one, nothing is sent and nothing is inherited.
Not for: how messages wait (notify_channel.py), nor a process that follows another one (handover.py).

Source: sd_notify(3), sd_listen_fds(3), systemd.service(5) FileDescriptorStoreMax=.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nodelink.daemon.notify_channel import NotifyChannel

FIRST_INHERITED_DESCRIPTOR = 3

SocketsByName = dict[str, list[socket.socket]]


class ServiceManager(Protocol):
    """Whoever supervises the process."""

    @property
    def watchdog_seconds(self) -> float | None:
        """How long the process may be silent; `None` where nobody watches."""

    @property
    def runtime_directory(self) -> Path | None:
        """Where to leave, in memory, what the next process reads; `None` where nothing is kept."""

    def notify(self, state: str) -> None:
        """Pass a state on, such as `READY=1`."""

    def keep(self, name: str, sockets: Sequence[socket.socket]) -> None:
        """Have sockets kept beyond this process, under a name of `[a-z0-9-]`."""

    def let_go(self, name: str) -> None:
        """Have nothing kept under a name any more."""

    def list_inherited(self) -> list[str]:
        """List the names of what was kept and nobody has taken yet."""

    def take_inherited(self, name: str) -> list[socket.socket]:
        """Take the sockets that were kept under a name; empty for none. Each can be taken once."""


@dataclass(slots=True)
class Systemd:
    """The service manager behind `$NOTIFY_SOCKET`; an empty address where nobody supervises.

    `is_held`: nobody would listen to this process yet, so what it says waits until `channel.release`.
    `kept` is what is in the store, as far as this process knows.
    """

    address: str
    watchdog_seconds: float | None
    inherited: SocketsByName = field(default_factory=dict)
    runtime_directory: Path | None = None
    is_held: bool = False
    kept: SocketsByName = field(init=False, default_factory=dict)
    channel: NotifyChannel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = NotifyChannel(self.address, is_held=self.is_held)

    @classmethod
    def from_environment(cls) -> "Systemd":
        """Find the service manager of this process, and what it has kept for it."""
        watchdog_microseconds = os.environ.get("WATCHDOG_USEC", "")
        return cls(
            address=os.environ.get("NOTIFY_SOCKET", ""),
            watchdog_seconds=int(watchdog_microseconds) / 1e6 if watchdog_microseconds.isdigit() else None,
            inherited=_inherit(os.environ),
            runtime_directory=find_runtime_directory(),
        )

    def notify(self, state: str) -> None:
        """Send a state."""
        self.channel.send(state)

    def keep(self, name: str, sockets: Sequence[socket.socket]) -> None:
        """Put sockets into the file descriptor store."""
        self.kept.setdefault(name, []).extend(sockets)
        # Not polled: an error that a datagram met would else throw its socket out of the store.
        self.channel.send_sockets(f"FDSTORE=1\nFDPOLL=0\nFDNAME={name}", sockets)

    def let_go(self, name: str) -> None:
        """Remove the sockets of a name from the file descriptor store."""
        self.kept.pop(name, None)
        self.channel.send_sockets(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def list_inherited(self) -> list[str]:
        """List the names that nobody has taken yet."""
        return list(self.inherited)

    def take_inherited(self, name: str) -> list[socket.socket]:
        """Take the sockets that were kept under a name."""
        taken = self.inherited.pop(name, [])
        if taken:
            self.kept[name] = list(taken)
        return taken


def find_runtime_directory() -> Path | None:
    """Find the first directory of RuntimeDirectory=; `None` without one."""
    first = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(first) if first else None


def _inherit(environment: "os._Environ[str]") -> SocketsByName:
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(environment.get("LISTEN_FDS", "0"))
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    inherited: SocketsByName = {}
    for offset, name in zip(range(count), names, strict=False):
        descriptor = FIRST_INHERITED_DESCRIPTOR + offset
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the library's signature
        inherited.setdefault(name, []).append(socket.socket(fileno=descriptor))
    return inherited
