"""The TURN port of the node, which can be moved while it runs.

    want ──▶ the new port is bound ──▶ new clients are served there
                                       the former sockets go on for their calls, and send new clients on
    restart ──▶ the sockets of former ports come back, and with them the calls there

For: the daemon, between the desired state and the relay.
Not for: what a former socket answers, and for how long (relay/server.py).
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import structlog

from nodelink.contract.ports import ALTERNATES_VARIABLES, PortName, PortReport
from nodelink.contract.states import NodeKind
from nodelink.daemon.listeners import bind_udp, stop_keeping, take_other_ports
from nodelink.daemon.movable_port import MovablePort
from nodelink.daemon.service_manager import ServiceManager
from nodelink.daemon.tasks import open_task_group
from turnnode.settings import TurnNodeSettings

RETRY_SECONDS: Final = 5
"""How soon a port that could not be had is tried again."""

KEPT_NAME: Final = "turn"
"""Under what name, followed by the port, the service manager keeps the sockets."""

Moved = Callable[[list[socket.socket], int], None]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class TurnPort:
    """Where the node listens, and where it has listened; opened when it is built.

    Args:
        settings: Where to listen, and where else it may be.
        manager: Keeps the sockets.
        wanted: Where it is wanted.

    Raises:
        ListenError: The configured port cannot be had.
    """

    def __init__(self, settings: TurnNodeSettings, manager: ServiceManager, wanted: int | None) -> None:
        self._settings = settings
        self._manager = manager
        self._moved: Moved | None = None
        self._former: dict[int, list[socket.socket]] = {}
        self._left: set[socket.socket] = set()
        self._port = MovablePort(
            name=PortName.TURN,
            configured=settings.port,
            alternates=settings.alternate_ports,
            variable=ALTERNATES_VARIABLES[NodeKind.TURN],
            bind=self._bind,
            wanted=wanted,
        )
        self.listeners = self._port.open()
        if self._port.problem is not None:
            log.warning("port not moved", name=PortName.TURN, problem=self._port.problem)
        self._former.update(take_other_ports(manager, KEPT_NAME, settings.listen_addresses))

    @property
    def number(self) -> int:
        """Where new clients are served."""
        return self._port.number

    @property
    def former(self) -> list[socket.socket]:
        """The sockets of former ports."""
        return [each for sockets in self._former.values() for each in sockets]

    def tell(self) -> PortReport:
        """Tell where it listens."""
        return self._port.tell()

    def want(self, port: int | None) -> None:
        """Move to where it is wanted; `None` for the configured port."""
        self._port.wanted = port
        self._move()

    def let_go(self, one: socket.socket) -> None:
        """Be done with a former socket; a port is given back as a whole."""
        self._left.add(one)
        for port, sockets in list(self._former.items()):
            if self._left.issuperset(sockets):
                self._left.difference_update(self._former.pop(port))
                for each in sockets:
                    each.close()
                stop_keeping(self._manager, KEPT_NAME, port)
                log.info("former port closed", port=port)

    async def start(self, stack: AsyncExitStack, moved: Moved) -> None:
        """Move from now on, until the stack unwinds; `moved` is handed each new set of sockets."""
        self._moved = moved
        stack.callback(self.leave)
        spawn = await open_task_group(stack)
        spawn(self._keep_trying())

    def leave(self) -> None:
        """Stay where it is: another process decides."""
        self._moved = None

    def close(self) -> None:
        """Close this process's sockets; what the service manager keeps is the next one's."""
        for each in (*self.listeners, *self.former):
            each.close()

    def _bind(self, port: int) -> list[socket.socket]:
        former = self._former.pop(port, None)
        if former is None:
            return bind_udp(self._manager, KEPT_NAME, self._settings.listen_addresses, port)
        self._left.difference_update(former)
        return former

    def _move(self) -> None:
        if self._moved is None:
            return
        former_port, former_problem = self._port.number, self._port.problem
        sockets = self._port.move()
        if self._port.problem is not None and self._port.problem != former_problem:
            log.warning("port not moved", name=PortName.TURN, problem=self._port.problem)
        if sockets is not None:
            self._former[former_port] = self.listeners
            self.listeners = sockets
            self._moved(sockets, self._port.number)
            log.info("port moved", name=PortName.TURN, port=self._port.number, former_port=former_port)

    async def _keep_trying(self) -> None:
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            self._move()
