"""Talk to systemd: readiness, watchdog, and the file descriptor store.

For: whoever supervises the process; without one, nothing is sent and nothing is inherited.
Source: sd_notify(3), sd_listen_fds(3), systemd.service(5) FileDescriptorStoreMax=.
"""

import array
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

FIRST_INHERITED_DESCRIPTOR = 3


class ServiceManager(Protocol):
    """Whoever supervises the process."""

    @property
    def watchdog_seconds(self) -> float | None:
        """How long the process may be silent; `None` where nobody watches."""

    def notify(self, state: str) -> None:
        """Pass a state on, such as `READY=1`."""

    def keep(self, name: str, sockets: Sequence[socket.socket]) -> None:
        """Have sockets kept beyond this process, under a name of `[a-z0-9-]`."""

    def take_inherited(self, name: str) -> list[socket.socket]:
        """Take the sockets that were kept under a name; empty for none. Each can be taken once."""


@dataclass(frozen=True, slots=True)
class Systemd:
    """The service manager behind `$NOTIFY_SOCKET`; an empty address where nobody supervises."""

    address: str
    watchdog_seconds: float | None
    inherited: dict[str, list[socket.socket]] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> "Systemd":
        """Find the service manager of this process, and what it has kept for it."""
        watchdog_microseconds = os.environ.get("WATCHDOG_USEC", "")
        return cls(
            address=os.environ.get("NOTIFY_SOCKET", ""),
            watchdog_seconds=int(watchdog_microseconds) / 1e6 if watchdog_microseconds.isdigit() else None,
            inherited=_inherit(os.environ),
        )

    def notify(self, state: str) -> None:
        """Send a state as one datagram; an address that begins with `@` is abstract."""
        self._send(state, ())

    def keep(self, name: str, sockets: Sequence[socket.socket]) -> None:
        """Put sockets into the file descriptor store."""
        self._send(f"FDSTORE=1\nFDNAME={name}", sockets)

    def take_inherited(self, name: str) -> list[socket.socket]:
        """Take the sockets that were kept under a name."""
        return self.inherited.pop(name, [])

    def _send(self, message: str, sockets: Sequence[socket.socket]) -> None:
        if not self.address:
            return
        descriptors = array.array("i", [kept.fileno() for kept in sockets])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)] if sockets else []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + self.address[1:] if self.address[0] == "@" else self.address)
            channel.sendmsg([message.encode()], ancillary)


def _inherit(environment: "os._Environ[str]") -> dict[str, list[socket.socket]]:
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = int(environment.get("LISTEN_FDS", "0"))
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    inherited: dict[str, list[socket.socket]] = {}
    for offset, name in zip(range(count), names, strict=False):
        descriptor = FIRST_INHERITED_DESCRIPTOR + offset
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the library's signature
        inherited.setdefault(name, []).append(socket.socket(fileno=descriptor))
    return inherited
