"""The data path in the kernel: keeps flows, next hops and the lease while the node serves.

    opened: maps, routes ─▶ flow_added, flow_removed … ─▶ start: climbs the ladder ─▶ renews the lease
                 (calls of a former process come first, so that the program finds them)

The process ends ─▶ the program goes on without it, for as long as the lease lasts, or until the next process
puts its own program, with its own maps, in the place of this one. Nothing is taken over but the links.

For: the daemon.
Not for: choosing a rung (ladder.py).
"""

import asyncio
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from nodelink.daemon.errors import HostError
from turnnode.errors import RungUnavailableError
from turnnode.kernel.attachment import detach_others
from turnnode.kernel.flows import FlowTable, Totals
from turnnode.kernel.hops import HopTable
from turnnode.kernel.ladder import Ground, climb
from turnnode.kernel.layout import pack_control
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.route_messages import Interface
from turnnode.kernel.routes import RouteSocket
from turnnode.kernel.rungs import Rung, RungChoice
from turnnode.relay.data_path import Flow

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LEASE_SECONDS: Final = 30
RENEWAL_SECONDS: Final = 5
_CONFIRMATIONS: Final = 6  # a neighbour is confirmed once in so many renewals


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPathSettings:
    """What a node says of itself.

    Attributes:
        choice: The rung that is wanted.
        port: Where clients are served, until `move`.
        hosts: The addresses that it listens on and relays from.
        relay_hosts: Those that it relays from, and as which they are published.
        directory: In a BPF file system, where links outlive the process; `None` if there is none.
    """

    choice: RungChoice
    port: int
    hosts: frozenset[str]
    relay_hosts: frozenset[str]
    directory: Path | None


class KernelPath:
    """Relays the data of bound channels in the kernel; until it has started, and where it cannot, nothing."""

    def __init__(self, settings: KernelPathSettings, maps: RelayMaps, routes: RouteSocket) -> None:
        self.rung = Rung.USERSPACE
        self._settings = settings
        self._port = settings.port
        self._maps = maps
        self._routes = routes
        self._hops = HopTable(routes, maps.hops)
        self._flows = FlowTable(
            flows=maps.flows,
            states=maps.states,
            hops=self._hops,
            is_own=settings.relay_hosts.__contains__,
        )
        self._is_failing = False

    def flow_added(self, flow: Flow) -> None:
        """Have a flow relayed here; if that does not work, userspace goes on."""
        try:
            self._flows.add(flow)
        except OSError as error:
            self._complain(error)

    def flow_removed(self, flow: Flow) -> None:
        """Leave a flow to userspace, which drops it if it has ended."""
        try:
            self._flows.remove(flow)
        except OSError as error:
            self._complain(error)

    def move(self, port: int) -> None:
        """Relay for clients of another port from now on; what comes to the former one goes to userspace."""
        self._port = port
        if self.rung is not Rung.USERSPACE:
            try:
                self._renew()
            except OSError as error:
                self._complain(error)

    def read_totals(self) -> Totals:
        """Tell what was relayed here."""
        return self._flows.read_totals()

    @property
    def flows(self) -> int:
        """How many channels are relayed here now."""
        return self._flows.count if self.rung is not Rung.USERSPACE else 0

    async def start(self, stack: AsyncExitStack) -> None:
        """Begin to relay, until `stack` unwinds: then the lease is not renewed any more.

        Raises:
            HostError: The rung that was set cannot be had.
        """
        self._renew()
        attached = stack.enter_context(ExitStack())
        ground = Ground(
            maps=self._maps,
            interfaces=self._list_interfaces(),
            port=self._settings.port,
            directory=self._settings.directory,
        )
        try:
            self.rung = climb(attached, ground, self._settings.choice)
        except RungUnavailableError as error:
            raise HostError(f"{error}; set data_path to another, or to auto.") from error
        if self.rung is Rung.USERSPACE:
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(self._routes.changes, self._hops.follow_changes)
        stack.callback(loop.remove_reader, self._routes.changes)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(group.create_task(self._keep()).cancel)

    async def _keep(self) -> None:
        """Renew the lease, and now and then have the neighbours confirmed."""
        turn = 0
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            self._renew()
            turn = (turn + 1) % _CONFIRMATIONS
            if turn == 0:
                try:
                    self._hops.confirm()
                except OSError as error:
                    self._complain(error)

    def _renew(self) -> None:
        until_ns = time.monotonic_ns() + LEASE_SECONDS * 10**9
        self._maps.control.write(0, pack_control(lease_until_ns=until_ns, port=self._port))

    def _list_interfaces(self) -> list[Interface]:
        """List the interfaces that hold an address of this node."""
        numbers = {number for number, host in self._routes.list_addresses() if host in self._settings.hosts}
        return [interface for interface in self._routes.list_interfaces() if interface.number in numbers]

    def _complain(self, error: OSError) -> None:
        """Log the first of a run of errors: there may be one for each channel."""
        if not self._is_failing:
            self._is_failing = True
            log.warning("some flows stay in userspace", reason=str(error))


def open_kernel_path(stack: ExitStack, settings: KernelPathSettings) -> KernelPath | None:
    """Make the maps of a path that has yet to start; `None` if there is none, and userspace will do.

    Raises:
        HostError: A rung was set, and the kernel gives us no maps.
    """
    if settings.choice is RungChoice.USERSPACE:
        _leave_kernel(settings.directory)
        return None
    try:
        with ExitStack() as attempt:
            path = KernelPath(settings, RelayMaps.create(attempt), RouteSocket(attempt))
            stack.enter_context(attempt.pop_all())
            return path
    except OSError as error:
        if settings.choice is not RungChoice.AUTO:
            raise HostError(
                f"{settings.choice} is not available: {error}; give the process the capabilities BPF, "
                "NET_ADMIN and PERFMON, or set data_path to auto."
            ) from error
        log.info("relaying in userspace", reason=str(error))
        return None


def _leave_kernel(directory: Path | None) -> None:
    """Detach what a former process has left."""
    try:
        detach_others(directory, Rung.USERSPACE, [])
    except OSError as error:
        log.warning("cannot detach what was attached before", reason=str(error))
