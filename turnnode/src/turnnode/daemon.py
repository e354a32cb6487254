"""The TURN node as a daemon: read what the host says, build the parts, follow the control plane.

    settings ──▶ sockets ──▶ TurnServer ◀── RelayPolicy ◀── desired state ◀── NodeAgent
       calls of a former process ──┘ └── counters ──▶ report, metrics

Not for: TURN itself (relay/).
"""

import gc
import socket
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version

from prometheus_client import CollectorRegistry

from nodelink.channel.agent import open_agent
from nodelink.channel.probing import ProbeRounds
from nodelink.contract.figures import LOOP_LAG, TURN_FIGURES
from nodelink.contract.reports import MAX_UDP_PORTS, Report
from nodelink.contract.states import NodeKind, NodeState, TurnNodeState
from nodelink.daemon.chassis import Chassis, run_daemon
from nodelink.daemon.figure_metrics import FigureCollector
from nodelink.daemon.log import set_up_log
from nodelink.daemon.loop_lag import LoopLag
from nodelink.daemon.metrics import open_metrics, serve_metrics
from nodelink.daemon.succession import Succession
from turnnode.credential_socket import CredentialSocket
from turnnode.figures import CredentialUses, read_figures
from turnnode.kernel.path import KernelPath, KernelPathSettings, open_kernel_path
from turnnode.kernel.rungs import Rung
from turnnode.listening import list_relay_addresses, open_client_sockets
from turnnode.probe.peers import TurnPeers
from turnnode.relay.dues import Dues
from turnnode.relay.journal import Journal
from turnnode.relay.keeping import ManagerKeeper
from turnnode.relay.policy import Quotas, RelayPolicy, RelayPolicyHolder
from turnnode.relay.ports import PortRange
from turnnode.relay.resting import REST_ROOM
from turnnode.relay.server import TurnServer
from turnnode.relay.usage import TrafficLimit
from turnnode.settings import TurnNodeSettings
from turnnode.turn_port import TurnPort

VERSION = version("turnnode")
GARBAGE_THRESHOLD = 50_000  # objects; 700 is Python's own


@dataclass(slots=True)
class TurnNode:
    """The node between its control plane and its relay."""

    settings: TurnNodeSettings
    policy: RelayPolicyHolder = field(init=False)
    server: TurnServer = field(init=False)
    kernel: KernelPath | None = field(init=False, default=None)
    started_at_seconds: int = field(init=False)
    peers: TurnPeers = field(init=False, default_factory=TurnPeers)
    probes: ProbeRounds = field(init=False)
    lag: LoopLag = field(init=False, default_factory=LoopLag)
    port: TurnPort | None = field(init=False, default=None)
    _wanted_port: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        # Without a secret, every credential is refused: the node waits for its first desired state.
        closed = RelayPolicy(realm="madfleet", secrets=(), peer_allow=self.settings.peer_allow)
        self.policy = RelayPolicyHolder(closed)
        self.started_at_seconds = int(time.time())
        self.probes = ProbeRounds(list_peers=self.peers.list_names, probe=self.peers.probe)

    def apply(self, state: NodeState) -> None:
        """Put a desired state in force."""
        if not isinstance(state, TurnNodeState):
            return  # the agent has refused it already
        self.peers.replace(state)
        self._wanted_port = state.port
        if self.port is not None:
            self.port.want(state.port)
        self.policy.replace(
            RelayPolicy(
                realm=state.realm,
                secrets=state.secrets,
                max_credential_lifetime_seconds=state.credential_lifetime_seconds,
                peer_allow=self.settings.peer_allow,
                quotas=Quotas(
                    allocations=state.allocations,
                    allocations_per_credential=state.allocations_per_credential,
                    is_draining=state.is_draining,
                ),
                traffic=TrafficLimit(
                    bits_per_second=self.settings.bits_per_second,
                    bits_per_second_per_credential=self.settings.bits_per_second_per_credential,
                    bytes_per_credential=self.settings.bytes_per_credential,
                ),
            )
        )

    def read_figures(self) -> dict[str, float]:
        """Read what is counted, by name."""
        figures = read_figures(self.server.counters, self.kernel, self.server.connections)
        return figures | {LOOP_LAG: self.lag.worst_seconds}

    def read_report(self, revision: int) -> Report:
        """Tell how the node is."""
        port = None if self.port is None else self.port.tell()
        return Report(
            kind=NodeKind.TURN,
            software_version=VERSION,
            applied_revision=revision,
            started_at_seconds=self.started_at_seconds,
            public_name=self.settings.public_name,
            public_port=self._tell_public_port(),
            udp_ports=self._list_udp_ports(),
            overrides=(),
            problems=() if port is None or port.problem is None else (port.problem,),
            figures=self.read_figures(),
            probes=self.probes.read_results(),
            addresses=self.settings.published_addresses or self.settings.listen_addresses,
            credentials=CredentialUses(self.server.usages, self.policy).list_largest(),
            ports=() if port is None else (port,),
            alternate_ports=self.settings.alternate_ports,
        )

    async def start(self, chassis: Chassis, stack: AsyncExitStack) -> None:
        """Serve until the stack unwinds."""
        settings = self.settings
        agent = open_agent(settings, software_version=VERSION, apply=self.apply, read_report=self.read_report)
        chassis.take_over()  # from here to `commit`, nobody relays
        sockets = open_client_sockets(stack, chassis.manager, settings)
        port = self.port = TurnPort(settings, chassis.manager, self._wanted_port)
        stack.callback(port.close)
        directory = chassis.manager.runtime_directory
        relay_addresses = list_relay_addresses(settings)
        relay_hosts = frozenset(host for each in relay_addresses for host in (each.bound, each.published))
        dues = Dues()
        self.kernel = open_kernel_path(
            stack.enter_context(ExitStack()),
            KernelPathSettings(
                choice=settings.data_path,
                port=port.number,
                other_ports=settings.other_udp_ports,
                hosts=frozenset((*settings.listen_addresses, *(each.bound for each in relay_addresses))),
                relay_hosts=relay_hosts,
                directory=settings.bpf_directory,
            ),
            dues,
        )
        server = TurnServer(
            listeners=[*port.listeners, *sockets.datagrams],
            former=port.former,
            left=port.let_go,
            streams=sockets.streams,
            relay_addresses=relay_addresses,
            policy=self.policy,
            data_path=self.kernel,
            may_join=lambda: self.kernel is None or self.kernel.rung is Rung.USERSPACE,
            ports=PortRange(first=settings.relay_port_min, last=settings.relay_port_max),
            memory=None if directory is None else Journal(directory / "allocations", dues),
            keeper=ManagerKeeper(chassis.manager),
            dues=dues,
            rest_room=REST_ROOM,
        )
        self.server = server
        metrics = open_metrics(chassis.manager, settings.metrics_port)
        if self.kernel is not None:
            await self.kernel.start(stack)  # it may refuse: then the other process goes on
        chassis.commit()
        await server.start(stack)
        if sockets.certificate is not None:
            chassis.on_reload.append(sockets.certificate.reload)
            await sockets.certificate.start(stack)
        chassis.on_moved += [port.leave, server.leave]
        if settings.credential_socket is not None:
            await CredentialSocket(settings.credential_socket, self.policy).start(stack)
        await chassis.settle()
        await port.start(stack, partial(self._move, server, sockets.datagrams))
        spare_garbage_collector()
        # Behind the server: what comes last ends first, and calls go on meanwhile.
        registry = CollectorRegistry()
        await self.lag.start(stack)
        registry.register(FigureCollector("turnnode", TURN_FIGURES, self.read_figures))
        registry.register(CredentialUses(server.usages, self.policy))
        serve_metrics(stack, registry, metrics)
        if agent is not None:
            await agent.start(stack)
            await self.probes.start(stack)

    def _tell_public_port(self) -> int:
        """Tell what port apps shall use: where TURN was moved, otherwise what the host says."""
        if self.port is not None and self.port.number != self.settings.port:
            return self.port.number
        return self.settings.announced_port or self.settings.port

    def _list_udp_ports(self) -> tuple[int, ...]:
        """List where new clients are served."""
        number = self.settings.port if self.port is None else self.port.number
        return (number, *self.settings.other_udp_ports)[:MAX_UDP_PORTS]

    def _move(
        self, server: TurnServer, others: list[socket.socket], listeners: list[socket.socket], port: int
    ) -> None:
        server.move([*listeners, *others])
        if self.kernel is not None:
            self.kernel.move(port)


def spare_garbage_collector() -> None:
    """Leave what lives as long as the process out of the search for garbage, and search seldom.

    Nothing that a request makes refers to itself; by default each few requests would pay for a search.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)


def run(settings: TurnNodeSettings, succession: Succession | None = None) -> None:
    """Run the daemon until it is told to stop, as the successor of one that runs if there is a succession."""
    set_up_log(settings.log_level)
    run_daemon(TurnNode(settings).start, succession)
