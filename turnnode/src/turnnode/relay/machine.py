"""The TURN server as a machine: a datagram, its addresses and the time go in, at most one datagram comes out.

    client ─ from_client ─▶ ChannelData, Send indication ──▶ to a peer, or across to another allocation
                            request ──▶ answer to the client
    peer ─── from_peer ───▶ ChannelData or Data indication to the client
    router ─ from_network ▶ Data indication with what an ICMP error said

For: everything that a server decides, of RFC 8489 and RFC 8656 over UDP.
Not for: sockets, clocks and tasks (server.py). Relay ports come from a `PortProvider`.

What is no request of somebody known leaves nothing behind but counts. Nothing is logged for a datagram.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from turnnode.errors import RequestRefusedError, StunFormatError
from turnnode.relay.allocating import UNDERSTOOD, Request, allocate
from turnnode.relay.allocation import Allocation, Outlet, PortProvider, Side
from turnnode.relay.authentication import Gate
from turnnode.relay.counters import RelayCounters
from turnnode.relay.data_path import DataPath
from turnnode.relay.limiter import ReplyLimiter
from turnnode.relay.memory import AllocationMemory
from turnnode.relay.network_errors import NetworkError
from turnnode.relay.nonce import FiveTuple, NonceMint
from turnnode.relay.peer_policy import OwnAddresses, PeerPolicy
from turnnode.relay.policy import RelayPolicyHolder
from turnnode.relay.requests import (
    bind_channel,
    create_permission,
    refresh,
)
from turnnode.relay.reservations import Reservations
from turnnode.relay.responses import (
    MAX_INDICATED_BYTES,
    binding_success,
    data_indication,
    error_indication,
    refusal,
    success,
)
from turnnode.relay.table import AllocationTable
from turnnode.relay.usage import UsageTable
from turnnode.relay.ways import Ways
from turnnode.stun.attributes import Address, AttributeType, decode_xor_address
from turnnode.stun.channel_data import decode_channel_data, encode_channel_data, is_channel_data
from turnnode.stun.layouts import KnownLayouts
from turnnode.stun.message import Attributes, Message, MessageClass, Method, decode

_AUTHENTICATED_METHODS = frozenset(
    {Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND}
)
_REQUEST, _BINDING = MessageClass.REQUEST, Method.BINDING
_UNPROVED = RequestRefusedError(401)  # what each client hears first: never raised, which would cost more
_ALLOCATE, _CHANNEL_BIND, _REFRESH = Method.ALLOCATE, Method.CHANNEL_BIND, Method.REFRESH


class Send(NamedTuple):
    """A datagram to send: a tuple, because there is one for each packet of each call."""

    outlet: Outlet
    data: bytes
    address: Address


class TurnMachine:
    """One TURN server.

    Args:
        policy: What may be decided; after a change, call `apply_policy`.
        ports: Opens relay sockets.
        own: The addresses of this node, which peers must not be, but for live relay ports.
        data_path: Told of each bound channel.
        nonce_key: Random octets that nobody else knows.
        counters: Counts what happens.
        memory: Remembers what clients hold, for the next process.
        calendar: Tells Unix seconds. Credentials end by it, and nothing else: whatever the machine times
            itself goes by the `now` of its methods, so that no step of the calendar ends a call.
        stopwatch: Tells seconds from any zero; only how long requests take is measured with it.

    `ways` are where data goes without asking again; `layouts` are how known clients write their requests.
    """

    def __init__(  # noqa: PLR0913 - each is a part that a test replaces
        self,
        *,
        policy: RelayPolicyHolder,
        ports: PortProvider,
        own: OwnAddresses,
        data_path: DataPath,
        nonce_key: bytes,
        counters: RelayCounters,
        memory: AllocationMemory,
        calendar: Callable[[], float],
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._policy = policy
        self._ports = ports
        self._own = own
        self._relay_hosts = own.relay_hosts
        self._data_path = data_path
        self._gate = Gate(NonceMint(key=nonce_key))
        self.layouts = KnownLayouts()
        self._counters = counters
        self._calendar = calendar
        self._limiter = ReplyLimiter()
        self._table = AllocationTable(data_path, counters, memory)
        self.ways = Ways(self._table, counters, data_path, own.relay_hosts)
        self._reservations = Reservations()
        self._stopwatch = stopwatch
        self._usages = self._table.usages
        self._traffic = policy.current.traffic
        self._usages.set_limit(self._traffic)
        self._peers = self._peer_policy()

    def from_client(self, side: Side, datagram: bytes, client: Address, now: float) -> Send | None:
        """Take a datagram that arrived at the listening socket of `side`."""
        try:
            if is_channel_data(datagram):
                return self._relay_channel_data(side, datagram, client, now)
            message = self.layouts.read(datagram) or decode(datagram)
            if message.message_class is _REQUEST:
                return self._answer(side, message, client, now)
            if message.message_class is MessageClass.INDICATION and message.method == Method.SEND:
                return self._relay_indication(side, message, client, now)
        except StunFormatError:
            pass
        self._counters.dropped_garbage += 1
        return None

    def from_peer(self, relay: Address, data: bytes, peer: Address, now: float) -> Send | None:
        """Take a datagram that arrived at the relay socket that is published as `relay`."""
        allocation = self._table.by_relay.get(relay)
        if allocation is None:
            self._counters.dropped_unpermitted += 1
            return None
        return self._deliver(allocation, data, peer, now)

    def from_network(self, relay: Address, error: NetworkError, now: float) -> Send | None:
        """Take an ICMP error that a datagram from the relay socket published as `relay` has met.

        Source: RFC 8656 section 11.5; only to clients that may know it (allocating.py).
        """
        allocation = self._table.by_relay.get(relay)
        if (
            allocation is None
            or not allocation.hears_errors
            or allocation.expires_at <= now
            or not _is_expected(allocation, error, now)
        ):
            return None
        return Send(allocation.side.outlet, error_indication(error), allocation.client)

    def client_left(self, side: Side, client: Address) -> None:
        """End what a client held over a connection that has ended."""
        allocation = side.allocations.get(client)
        if allocation is not None:
            self._table.remove(allocation)

    def expire(self, now: float) -> None:
        """End what is over, and count what the data path has relayed.

        Calling it once a second keeps the tables small, and what the data path relays within a volume up to
        the data of a second; nothing else depends on it.
        """
        self._table.expire(now)
        self._count_elsewhere()
        self._reservations.expire(now)
        self._usages.expire(self._calendar())

    def apply_policy(self) -> None:
        """Take over a changed policy and end the permissions and channels that it forbids."""
        self._peers = self._peer_policy()
        self._table.end_forbidden(self._peers)
        traffic, self._traffic = self._traffic, self._policy.current.traffic
        self._usages.set_limit(self._traffic)
        each, every = self._traffic.bits_per_second_per_credential, self._traffic.bits_per_second
        self._data_path.limit_rate((each or 0) // 8, (every or 0) // 8)
        if traffic.bytes_per_credential != self._traffic.bytes_per_credential:
            self._table.announce_again()

    def replace_own(self, own: OwnAddresses) -> None:
        """Take over changed addresses of this node."""
        self._own = own
        self.apply_policy()

    def adopt(self, allocation: Allocation) -> None:
        """Take over an allocation of a former process. Apply the policy after all of them."""
        self._table.adopt(allocation)

    def list_allocations(self) -> list[Allocation]:
        """List what clients hold now."""
        return self._table.list_all()

    @property
    def usages(self) -> UsageTable:
        """What credentials have used."""
        return self._usages

    def _peer_policy(self) -> PeerPolicy:
        policy = self._policy.current
        return PeerPolicy(own=self._own, allow=policy.peer_allow, min_port=policy.min_peer_port)

    def _count_elsewhere(self) -> None:
        """Count what the data path has relayed, and take it from those who have used up their volume."""
        used_up = set()
        for username, relayed in self._data_path.take_usage().items():
            self._usages.add_elsewhere(username, relayed.packets, relayed.bytes, relayed.dropped)
            if self._usages.is_used_up(username):
                used_up.add(username)
        if used_up:
            self._table.announce_again(used_up)

    def _relay_channel_data(self, side: Side, datagram: bytes, client: Address, now: float) -> Send | None:
        number, data = decode_channel_data(datagram)
        allocation = side.allocations.get(client)
        channel = None if allocation is None else allocation.channels.get(number)
        # A live channel keeps its peer permitted, although RFC 8656 section 9 ends permissions after 300 s:
        # clients such as aioice refresh only the channel, every 500 s.
        counters = self._counters
        if allocation is None or channel is None or channel.expires_at <= now or allocation.expires_at <= now:
            counters.dropped_unpermitted += 1
            return None
        if side.is_datagram:
            self.ways.sample(1, (client, side.address, number))
        peer = channel.peer
        if allocation.second is not None or peer[0] in self._relay_hosts:
            return self._forward(allocation, data, peer, now)
        if not self._usages.admit(allocation.usage, len(data), now):
            counters.dropped_over_limit += 1
            return None
        counters.packets_to_peers += 1
        counters.bytes_to_peers += len(data)
        return Send(allocation.port, data, peer)

    def _relay_indication(self, side: Side, message: Message, client: Address, now: float) -> Send | None:
        """Relay the data of a Send indication; what is wrong with one is never answered."""
        peer_value = message.find(AttributeType.XOR_PEER_ADDRESS)
        data = message.find(AttributeType.DATA)
        if peer_value is None or data is None or message.unknown_required(UNDERSTOOD):
            raise StunFormatError("a Send indication lacks an attribute, or has one that we do not know")
        peer = decode_xor_address(peer_value, message.transaction_id)
        allocation = side.allocations.get(client)
        if (
            allocation is None
            or allocation.expires_at <= now
            or allocation.permissions.get(peer[0], 0) <= now
            or not self._peers.permits(peer, is_live_relay=peer in self._table.by_relay)
        ):
            self._counters.dropped_unpermitted += 1
            return None
        return self._forward(
            allocation, data, peer, now, is_whole=message.find(AttributeType.DONT_FRAGMENT) is not None
        )

    def _forward(
        self, allocation: Allocation, data: bytes, peer: Address, now: float, *, is_whole: bool = False
    ) -> Send | None:
        """Send a client's data to a peer, or straight to the client behind it if that is one of ours.

        `is_whole`: no router may divide it.
        """
        port = allocation.port if allocation.second is None else allocation.port_to(peer[0])
        if port is None:
            return None
        if peer[0] in self._own.relay_hosts:
            target = self._table.by_relay.get(peer)
            if target is not None:
                if not self._usages.admit(allocation.usage, len(data), now):
                    self._counters.dropped_over_limit += 1
                    return None
                self._counters.packets_hairpinned += 1
                return self._deliver(target, data, port.published, now)
            if not self._peers.permits(peer, is_live_relay=False):  # it was a relay port, and has closed
                self._counters.dropped_unpermitted += 1
                return None
        if not self._usages.admit(allocation.usage, len(data), now):
            self._counters.dropped_over_limit += 1
            return None
        self._counters.packets_to_peers += 1
        self._counters.bytes_to_peers += len(data)
        return Send(port.unfragmented if is_whole else port, data, peer)

    def _deliver(self, allocation: Allocation, data: bytes, peer: Address, now: float) -> Send | None:
        """Send a peer's data to the client, by its channel if there is one."""
        if allocation.expires_at <= now:
            self._counters.dropped_unpermitted += 1
            return None
        channel = allocation.channels_by_peer.get(peer)
        if channel is not None and channel.expires_at > now:
            datagram = encode_channel_data(channel.number, data)
        elif allocation.permissions.get(peer[0], 0) > now and len(data) <= MAX_INDICATED_BYTES:
            datagram = data_indication(data, peer)
        else:
            self._counters.dropped_unpermitted += 1
            return None
        if not self._usages.admit(allocation.usage, len(data), now):
            self._counters.dropped_over_limit += 1
            return None
        self._counters.packets_to_clients += 1
        self._counters.bytes_to_clients += len(data)
        return Send(allocation.side.outlet, datagram, allocation.client)

    def _answer(self, side: Side, message: Message, client: Address, now: float) -> Send | None:
        if message.method == _BINDING:
            return self._answer_binding(side, message, client, now)
        if message.method not in _AUTHENTICATED_METHODS:
            raise StunFormatError("the method is unknown")  # no answer: RFC 8489 section 6.3
        policy = self._policy.current
        five_tuple = side.five_tuple_of(client)
        if message.integrity is None:
            return self._challenge(side, message, five_tuple, _UNPROVED, now)
        try:
            credential = self._gate.authenticate(
                message, five_tuple, policy, now=now, unix_seconds=self._calendar()
            )
        except RequestRefusedError as error:
            return self._challenge(side, message, five_tuple, error, now)
        if not message.is_of_known_layout:
            self.layouts.learn(message)
        request = Request(message, side, client, credential, self._peers, policy.quotas, now)
        try:
            answer = success(message, self._grant(request), credential)
        except RequestRefusedError as error:
            self._counters.refused[error.status] += 1
            answer = refusal(message, error, credential)
        return Send(side.outlet, answer, client)

    def _grant(self, request: Request) -> Attributes:
        """Do what a known sender asks for.

        Raises:
            RequestRefusedError: It is not done.
        """
        unknown = request.message.unknown_required(UNDERSTOOD)
        if unknown:
            raise RequestRefusedError(420, unknown)
        method = request.message.method
        try:
            if method == _ALLOCATE:
                return self._allocate(request)
            if method == _CHANNEL_BIND:
                return bind_channel(request, self._table)
            if method == _REFRESH:
                return refresh(request, self._table)
            return create_permission(request, self._table)
        except StunFormatError as error:
            raise RequestRefusedError(400) from error

    def _allocate(self, request: Request) -> Attributes:
        started_at = self._stopwatch()
        try:
            return allocate(request, self._table, self._ports, self._reservations)
        finally:
            took_seconds = self._stopwatch() - started_at
            self._counters.allocate_seconds += took_seconds
            self._counters.allocate_worst_seconds = max(self._counters.allocate_worst_seconds, took_seconds)

    def _answer_binding(self, side: Side, message: Message, client: Address, now: float) -> Send | None:
        unknown = message.unknown_required(UNDERSTOOD)
        if not self._limiter.admit(self._policy.current.unauthenticated_replies, client[0], now):
            self._counters.replies_withheld += 1
            return None
        if unknown:
            self._counters.refused[420] += 1
            return Send(side.outlet, refusal(message, RequestRefusedError(420, unknown)), client)
        return Send(side.outlet, binding_success(message, client), client)

    def _challenge(
        self, side: Side, message: Message, five_tuple: FiveTuple, error: RequestRefusedError, now: float
    ) -> Send | None:
        """Answer somebody who has not proved who it is, within the limit of its source."""
        policy = self._policy.current
        if not self._limiter.admit(policy.unauthenticated_replies, five_tuple.client[0], now):
            self._counters.replies_withheld += 1
            return None
        self._counters.refused[error.status] += 1
        challenge = () if error.status == 400 else self._gate.challenge(message, five_tuple, policy, now)
        return Send(side.outlet, refusal(message, error, challenge=challenge), five_tuple.client)


def _is_expected(allocation: Allocation, error: NetworkError, now: float) -> bool:
    """Tell whether an error is about data that the client may have sent."""
    channel = allocation.channels_by_peer.get(error.peer)
    if channel is not None and channel.expires_at > now:
        return True
    return allocation.permissions.get(error.peer[0], 0) > now
