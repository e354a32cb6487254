"""What the operator and the control plane decide about the relay, replaceable while it runs.

For: everything that a new desired state may change.
Not for: addresses and ports of the process, which need new sockets (server.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from turnnode.relay.connections import ConnectionLimit
from turnnode.relay.limiter import ReplyLimit
from turnnode.relay.peer_policy import MIN_PEER_PORT
from turnnode.relay.usage import TrafficLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """How much of the node its clients may hold at once.

    A client allocates once for each pair of network interface and TURN address, and an account has several
    devices. ICE sends to each candidate of the other side, of which relays and interfaces make a few dozen.

    `is_draining`: calls go on, and nobody gets a new allocation.
    """

    allocations: int = 4096
    allocations_per_credential: int = 16
    permissions_per_allocation: int = 64
    channels_per_allocation: int = 64
    is_draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayPolicy:
    """One state of the policy.

    Attributes:
        realm: Up to 16 octets, because it is in each 401: 16 keep the answer to the smallest Allocate below
            1.8 times its size on the wire.
        secrets: Shared with the mail nodes; any of them makes valid credentials, so that one can be rotated.
            Without any, every credential is refused.
        max_credential_lifetime_seconds: A credential that ends later than this from now is refused.
        peer_allow: Networks that may be reached although they are not globally routable.
        min_peer_port: Peers on lower ports are refused. Calls use ephemeral ports; below 1024 are the
            services, such as DNS, that a relay must not be turned against.
    """

    realm: str
    secrets: tuple[str, ...] = field(repr=False)
    max_credential_lifetime_seconds: int = 7 * 86_400
    peer_allow: tuple[IPv4Network | IPv6Network, ...] = ()
    min_peer_port: int = MIN_PEER_PORT
    quotas: Quotas = field(default_factory=Quotas)
    unauthenticated_replies: ReplyLimit = field(default_factory=ReplyLimit)
    traffic: TrafficLimit = field(default_factory=TrafficLimit)
    connections: ConnectionLimit = field(default_factory=ConnectionLimit)


class RelayPolicyHolder:
    """The policy in force. Whoever must act on a change watches; whoever only asks reads `current`."""

    def __init__(self, policy: RelayPolicy) -> None:
        self.current = policy
        self._watchers: list[Callable[[], None]] = []

    def replace(self, policy: RelayPolicy) -> None:
        """Put another policy in force at once and tell the watchers."""
        self.current = policy
        for watcher in list(self._watchers):
            watcher()

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after each change, until the returned function is called."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)
