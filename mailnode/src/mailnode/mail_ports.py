"""The mail ports of the node, each of which can be moved while it runs.

    want ──▶ the new port is bound at once ──▶ served ──▶ the former listening socket is closed
                └ it cannot be: reported, and tried again from time to time

Sessions that are open go on: only listening sockets are opened and closed. The service manager keeps the
sockets under names with their port, so that a restart finds what is served.

For: the daemon, which says what is served on each; links, autoconfig and reports, which ask where it is.
Not for: the HTTPS port, which Ansible alone sets.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from mailnode.settings import MailNodeSettings
from mailnode.tls_listener import BuildProtocol, Serving, serve
from nodelink.contract.ports import ALTERNATES_VARIABLES, PortName, PortReport
from nodelink.contract.states import MailPorts, NodeKind
from nodelink.daemon.listeners import listen_tcp, stop_keeping
from nodelink.daemon.movable_port import MovablePort
from nodelink.daemon.service_manager import ServiceManager
from nodelink.daemon.tasks import Spawn, open_task_group

RETRY_SECONDS: Final = 5
"""How soon a port that could not be had is tried again."""

KEPT_NAMES: Final[Mapping[PortName, str]] = {
    PortName.IMAP_TLS: "imaps",
    PortName.IMAP: "imap",
    PortName.SUBMISSION_TLS: "submissions",
    PortName.SUBMISSION: "submission",
}
"""Under what names, each followed by the port, the service manager keeps the sockets."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Service:
    """What is served on a port; `tls` is `None` where connections begin in the clear."""

    build: BuildProtocol
    tls: ssl.SSLContext | None


class MailListeners:
    """Listens for mail clients.

    Args:
        settings: Where to listen, and where else it may be.
        manager: Keeps the listening sockets.
        retry_seconds: How soon a port that could not be had is tried again.
    """

    def __init__(
        self, settings: MailNodeSettings, manager: ServiceManager, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._settings = settings
        self._manager = manager
        self._retry_seconds = retry_seconds
        configured = {
            PortName.SUBMISSION: settings.smtp_starttls_port,
            PortName.SUBMISSION_TLS: settings.smtp_tls_port,
            PortName.IMAP: settings.imap_starttls_port,
            PortName.IMAP_TLS: settings.imap_tls_port,
        }
        self._ports = {
            name: MovablePort(
                name=name,
                configured=port,
                alternates=settings.alternate_ports,
                variable=ALTERNATES_VARIABLES[NodeKind.MAIL],
                bind=partial(self._bind, name),
            )
            for name, port in configured.items()
        }
        self._services: Mapping[PortName, Service] = {}
        self._servers: dict[PortName, tuple[int, list[Serving]]] = {}
        self._spawn: Spawn | None = None
        self._replacing = asyncio.Lock()

    def find_port(self, name: PortName) -> int:
        """Find where a service listens now."""
        return self._ports[name].number

    def tell(self) -> tuple[PortReport, ...]:
        """Tell where all of them listen."""
        return tuple(port.tell() for port in self._ports.values())

    def list_problems(self) -> list[str]:
        """List what keeps services from where they are wanted, for an operator."""
        return [port.problem for port in self._ports.values() if port.problem is not None]

    def want(self, wanted: MailPorts) -> None:
        """Move each service to where it is wanted. What is told of it follows at once."""
        for name, port in self._ports.items():
            port.wanted = getattr(wanted, name)
        if self._spawn is not None:
            self._move()

    async def start(self, stack: AsyncExitStack, services: Mapping[PortName, Service]) -> None:
        """Listen until the stack unwinds. Raises: ListenError."""
        self._services = services
        for name, port in self._ports.items():
            self._servers[name] = (port.number, [])
        stack.callback(self._close)
        for name, port in self._ports.items():
            sockets = port.open()
            if port.problem is not None:
                log.warning("port not moved", name=name, problem=port.problem)
            self._servers[name] = (port.number, await self._serve(services[name], sockets))
        self._spawn = await open_task_group(stack)
        self._spawn(self._keep_trying())

    def _bind(self, name: PortName, port: int) -> list[socket.socket]:
        return listen_tcp(self._manager, KEPT_NAMES[name], self._settings.listen_addresses, port)

    def _move(self) -> None:
        """Bind what is wanted elsewhere, and have it served."""
        for name, port in self._ports.items():
            former = port.problem
            sockets = port.move()
            if port.problem is not None and port.problem != former:
                log.warning("port not moved", name=name, problem=port.problem)
            if sockets is not None and self._spawn is not None:
                self._spawn(self._replace(name, port.number, sockets))

    async def _replace(self, name: PortName, port: int, sockets: list[socket.socket]) -> None:
        async with self._replacing:
            servers = await self._serve(self._services[name], sockets)
            former_port, former_servers = self._servers[name]
            self._servers[name] = (port, servers)
            for server in former_servers:
                server.close()
            stop_keeping(self._manager, KEPT_NAMES[name], former_port)
        log.info("port moved", name=name, port=port, former_port=former_port)
        if any(each.problem is not None for each in self._ports.values()):
            self._move()  # what another service has just left may be what was waited for

    async def _serve(self, service: Service, sockets: Sequence[socket.socket]) -> list[Serving]:
        return [await serve(each, service.build, service.tls) for each in sockets]

    async def _keep_trying(self) -> None:
        while True:
            await asyncio.sleep(self._retry_seconds)
            self._move()

    def _close(self) -> None:
        for _, servers in self._servers.values():
            for server in servers:
                server.close()
