"""The port of a service that can be moved while it runs.

    wanted: none, or not open on this host ──▶ the configured port
    wanted and open ──▶ that port ── it cannot be bound ──▶ the service stays where it is, and says so

For: deciding where a service listens, and binding there; `move` may be called again and again.
Not for: serving, nor for closing the former sockets; whoever is given new ones does that after he serves on
them, so that there is no moment without a listener.
"""

import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from nodelink.contract.ports import PortReport
from nodelink.daemon.listeners import ListenError

MAX_PROBLEM_CHARACTERS = 500


def choose_port(
    wanted: int | None, configured: int, alternates: Collection[int], variable: str
) -> tuple[int, str | None]:
    """Choose where to listen; with it goes the problem, if that is not where it is wanted."""
    if wanted is None or wanted == configured:
        return configured, None
    if wanted in alternates:
        return wanted, None
    return configured, f"Port {wanted} is not open on this host. Add it to {variable}, or reset the port."


@dataclass(slots=True, kw_only=True)
class MovablePort:
    """Where one service listens.

    Attributes:
        name: What the port is called (contract.ports.PortName).
        configured: Where it listens if nobody wants it elsewhere.
        alternates: Where else it may listen.
        variable: In which variable of Ansible those stand.
        bind: Opens the sockets of a port. Raises: ListenError.
        wanted: Where it is wanted; set it, then call `move`.
        number: Where it listens.
        problem: Why it is not where it is wanted.
    """

    name: str
    configured: int
    alternates: Collection[int]
    variable: str
    bind: Callable[[int], list[socket.socket]]
    wanted: int | None = None
    number: int = field(init=False)
    problem: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.number = self.configured

    def open(self) -> list[socket.socket]:
        """Bind for the first time: where it is wanted, else at the configured port. Raises: ListenError."""
        target, self.problem = self._choose()
        if target != self.configured:
            try:
                sockets = self.bind(target)
            except ListenError as error:
                self.problem = _describe(error, self.configured)
            else:
                self.number = target
                return sockets
        self.number = self.configured
        return self.bind(self.configured)

    def move(self) -> list[socket.socket] | None:
        """Bind where it is wanted now; `None` where there is nothing to do, or nothing that could be done."""
        target, self.problem = self._choose()
        if target == self.number:
            return None
        try:
            sockets = self.bind(target)
        except ListenError as error:
            self.problem = _describe(error, self.number)
            return None
        self.number = target
        return sockets

    def tell(self) -> PortReport:
        """Tell where it listens."""
        return PortReport(
            name=self.name, configured=self.configured, effective=self.number, problem=self.problem
        )

    def _choose(self) -> tuple[int, str | None]:
        return choose_port(self.wanted, self.configured, self.alternates, self.variable)


def _describe(error: ListenError, number: int) -> str:
    return f"{error} The service stays at port {number}."[:MAX_PROBLEM_CHARACTERS]
