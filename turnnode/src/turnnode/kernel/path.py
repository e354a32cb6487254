"""The data path in the kernel: keeps flows, next hops and the lease while the node serves.

    opened: maps, routes ─▶ flow_added, flow_removed … ─▶ start: climbs the ladder ─▶ renews the lease
                 (calls of a former process come first, so that the program finds them)

The process ends ─▶ the program goes on without it, for as long as the lease lasts, or until the next process
puts its own program, with its own maps, in the place of this one. Nothing is taken over but the links.

For: the daemon.
Not for: choosing a rung (ladder.py).
"""

import asyncio
import errno
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from nodelink.daemon.errors import HostError
from turnnode.errors import RungUnavailableError
from turnnode.kernel.attachment import detach_others
from turnnode.kernel.buckets import TOLERANCE_NS, BucketTable
from turnnode.kernel.canary import Canary
from turnnode.kernel.flows import FlowTable
from turnnode.kernel.hops import HopTable
from turnnode.kernel.ladder import Ground, climb
from turnnode.kernel.layout import ALL_WORD, LEASE_WORD, PORTS, PORTS_WORD, pack_bucket, pack_ports
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.route_messages import Interface
from turnnode.kernel.routes import RouteSocket
from turnnode.kernel.rungs import Rung, RungChoice
from turnnode.relay.data_path import Flow, Relayed
from turnnode.relay.dues import Dues
from turnnode.stun.attributes import Address

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
        other_ports: Where else; beyond the first three, userspace serves them alone.
        hosts: The addresses that it listens on and relays from.
        relay_hosts: Those that it relays from, and as which they are published.
        directory: In a BPF file system, where links outlive the process; `None` if there is none.
    """

    choice: RungChoice
    port: int
    hosts: frozenset[str]
    relay_hosts: frozenset[str]
    directory: Path | None
    other_ports: tuple[int, ...] = ()


class KernelPath:
    """Relays the data of bound channels in the kernel; until it has started, and where it cannot, nothing."""

    def __init__(
        self, settings: KernelPathSettings, maps: RelayMaps, routes: RouteSocket, dues: Dues
    ) -> None:
        self.rung = Rung.USERSPACE
        self._settings = settings
        self._ports = (settings.port, *settings.other_ports)[:PORTS]
        self._bytes_per_second = 0
        self._maps = maps
        self._routes = routes
        self._hops = HopTable(routes, maps.hops)
        self._buckets = BucketTable(maps.buckets)
        self._flows = FlowTable(
            flows=maps.flows,
            states=maps.states,
            hops=self._hops,
            buckets=self._buckets,
            is_own=settings.relay_hosts.__contains__,
        )
        self._dues = dues
        self._is_failing = False
        self._attached = ExitStack()
        self._ground: Ground | None = None
        self._canary = Canary(lambda: 0)

    def flow_added(self, flow: Flow) -> None:
        """Have a flow relayed here; if that does not work, userspace goes on."""
        try:
            self._flows.add(flow)
        except OSError as error:
            self._complain(error)
        self._dues.owe(self._flush)

    def flow_removed(self, flow: Flow) -> None:
        """Leave a flow to userspace, which drops it if it has ended."""
        self._flows.remove(flow)
        self._dues.owe(self._flush)

    def data_seen(self, client: Address, server: Address, channel: int) -> None:
        """Look at a flow whose data had to go by userspace: it may show that the rung does nothing."""
        if self._canary.is_proved or self.rung is Rung.USERSPACE or server[1] not in self._ports:
            return  # what comes to another port of this node is for userspace
        if self._canary.is_dead(is_ready=self._flows.is_ready((client, server, channel))):
            self._leave_dead_rung()

    def limit_rate(self, bytes_per_second_each: int, bytes_per_second: int) -> None:
        """Limit the data of each credential, and of all, both ways together, from now on; 0 is no limit."""
        self._buckets.set_rate(bytes_per_second_each)
        if bytes_per_second != self._bytes_per_second:  # else it would be empty again, and give another burst
            self._bytes_per_second = bytes_per_second
            bucket = pack_bucket(bytes_per_second=bytes_per_second, tolerance_ns=TOLERANCE_NS)
            for place, word in enumerate(memoryview(bucket).cast("Q"), ALL_WORD):
                self._maps.control.words[place] = word

    def take_usage(self) -> dict[str, Relayed]:
        """Tell what each credential has used here since the last call."""
        return self._flows.take_usage()

    def move(self, port: int) -> None:
        """Relay for clients of another port from now on; what comes to the former one goes to userspace."""
        self._ports = (port, *self._settings.other_ports)[:PORTS]
        if self._ground is not None:
            self._ground = replace(self._ground, port=port)
        if self.rung is not Rung.USERSPACE:
            try:
                self._renew()
            except OSError as error:
                self._complain(error)

    def read_totals(self) -> Relayed:
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
        stack.callback(self._detach)
        self._ground = Ground(
            maps=self._maps,
            interfaces=(interfaces := self._list_interfaces()),
            carriers=self._list_carriers(interfaces),
            port=self._ports[0],
            directory=self._settings.directory,
            prepare=lambda rung: self._hops.use_tags(rung is Rung.XDP),
        )
        try:
            self.rung = climb(self._attached, self._ground, self._settings.choice)
        except RungUnavailableError as error:
            raise HostError(f"{error}; set data_path to another, or to auto.") from error
        if self.rung is Rung.USERSPACE:
            return
        self._canary = self._new_canary()
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

    def _detach(self) -> None:
        self._attached.close()

    def _new_canary(self) -> Canary:
        before = self.read_totals().packets
        return Canary(lambda: self.read_totals().packets - before)

    def _leave_dead_rung(self) -> None:
        """Climb down if that is allowed; a rung that was ordered stays, and userspace goes on relaying."""
        dead, former = self.rung, self._attached
        if self._settings.choice is not RungChoice.AUTO or self._ground is None:
            self._canary.is_proved = True  # this is said once
            log.error("kernel relays nothing", rung=dead, remedy="set data_path to another way, or to auto")
            return
        log.warning("kernel relays nothing", rung=dead)
        self._attached = ExitStack()
        self.rung = climb(self._attached, self._ground, RungChoice.AUTO, beneath=dead)
        former.close()
        self._canary = self._new_canary()

    def _flush(self) -> None:
        try:
            if not self._flows.flush():
                self._complain(OSError(errno.E2BIG, "there is no more room for flows"))
        except OSError as error:
            self._complain(error)

    def _renew(self) -> None:
        until_ns = time.monotonic_ns() + LEASE_SECONDS * 10**9
        words = self._maps.control.words
        words[LEASE_WORD] = until_ns
        words[PORTS_WORD] = memoryview(pack_ports(self._ports)).cast("Q")[0]

    def _list_interfaces(self) -> list[Interface]:
        """List the interfaces that hold an address of this node."""
        numbers = {number for number, host in self._routes.list_addresses() if host in self._settings.hosts}
        return [interface for interface in self._routes.list_interfaces() if interface.number in numbers]

    def _list_carriers(self, interfaces: list[Interface]) -> list[Interface]:
        """List what carries these, each once."""
        numbers = {interface.parent or interface.number for interface in interfaces}
        return [interface for interface in self._routes.list_interfaces() if interface.number in numbers]

    def _complain(self, error: OSError) -> None:
        """Log the first of a run of errors: there may be one for each channel."""
        if not self._is_failing:
            self._is_failing = True
            log.warning("some flows stay in userspace", reason=str(error))


def open_kernel_path(stack: ExitStack, settings: KernelPathSettings, dues: Dues) -> KernelPath | None:
    """Make the maps of a path that has yet to start; `None` if there is none, and userspace will do.

    Raises:
        HostError: A rung was set, and the kernel gives us no maps.
    """
    if settings.choice is RungChoice.USERSPACE:
        _leave_kernel(settings.directory)
        return None
    try:
        with ExitStack() as attempt:
            path = KernelPath(settings, RelayMaps.create(attempt), RouteSocket(attempt), dues)
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
        detach_others(directory)
    except OSError as error:
        log.warning("cannot detach what was attached before", reason=str(error))
