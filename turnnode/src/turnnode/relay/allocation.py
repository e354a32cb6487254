"""One allocation: a client's relayed transport address, its permissions and its channels.

                    Refresh, 600 to 3600 s, never beyond the credential's end
    allocation  ●──────────────────────────────────────────────────────────▶ ends: all below end with it
    permission       ●── CreatePermission or ChannelBind, 300 s ──▶ one host
    channel          ●── ChannelBind, 600 s ──▶ one host and port

For: keeping what was granted, and until when.
Not for: whether it may be granted (requests.py, peer_policy.py).

Source: RFC 8656 sections 3.2, 9 and 12.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from turnnode.relay.data_path import Flow
from turnnode.relay.nonce import FiveTuple
from turnnode.relay.usage import Usage
from turnnode.stun.attributes import Address, family_of
from turnnode.stun.message import Attributes

PERMISSION_SECONDS: Final = 300
CHANNEL_SECONDS: Final = 600
DEFAULT_LIFETIME_SECONDS: Final = 600
MAX_LIFETIME_SECONDS: Final = 3600


class Outlet(Protocol):
    """A socket, as far as whoever decides must know it."""

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or lose it."""

    def send_together(self, datagrams: Sequence[bytes], address: Address) -> None:
        """Send datagrams of one size, of which the last may be shorter, or lose some."""


class Ending(Protocol):
    """Whatever ends with an allocation or one of its channels."""

    @property
    def until(self) -> float:
        """When it ends; 0 if it has ended."""

    def end(self) -> None:
        """End now."""


class ClientTransport(StrEnum):
    """By what a client reaches us; peers are always reached by UDP."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class RelayPort(Protocol):
    """An open relay socket.

    `bound` is its address on the wire; `published` is what peers must send to, another one behind a NAT.
    """

    @property
    def bound(self) -> Address:
        """The address that the socket is bound to."""

    @property
    def published(self) -> Address:
        """The address that clients and peers are told."""

    @property
    def unfragmented(self) -> Outlet:
        """The same socket, for datagrams that routers must rather drop than divide."""

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or lose it."""

    def send_together(self, datagrams: Sequence[bytes], address: Address) -> None:
        """Send datagrams of one size, of which the last may be shorter, or lose some."""

    def close(self) -> None:
        """Give the port back."""


class PortProvider(Protocol):
    """Whoever opens relay sockets."""

    def supports(self, family: int) -> bool:
        """Tell whether there is a relay address of this family."""

    def open(self, family: int) -> RelayPort | None:
        """Open a socket on a port that cannot be guessed; `None` when none is free."""

    def open_even(self, family: int, *, with_next: bool) -> tuple[RelayPort, ...]:
        """Open a socket on an even port, and one on the next if asked for; none without such ports."""


@dataclass(slots=True)
class Side:
    """One listening socket and the allocations that clients made there.

    `successor` is where new clients are sent, once the port has been moved; until then `None`. `is_datagram`:
    clients come by UDP; only then the kernel may relay, and the process be replaced.
    """

    address: Address
    outlet: Outlet
    allocations: "dict[Address, Allocation]" = field(default_factory=dict)
    successor: Address | None = None
    transport: ClientTransport = ClientTransport.UDP
    is_datagram: bool = field(init=False)

    def __post_init__(self) -> None:
        """Work out once what each packet asks for."""
        self.is_datagram = self.transport is ClientTransport.UDP

    def five_tuple_of(self, client: Address) -> FiveTuple:
        """Return the 5-tuple that one client here is known by."""
        return FiveTuple(client, self.address, self.transport)


@dataclass(slots=True)
class Channel:
    """A number that stands for a peer."""

    number: int
    peer: Address
    expires_at: float


_NOBODY: Final = Usage("")


@dataclass(slots=True, kw_only=True)
class Allocation:
    """What one client holds; `usage` is shared by all of a credential, and the table sets it.

    `transaction_id` is the Allocate request's, and `answer` what it was answered: it may be sent again.
    `hears_errors`: its client understands Data indications without data, about ICMP errors.
    `ways` are remembered decisions about its data (ways.py).
    `five_tuple` identifies it. `journal_head` is what the journal says of what does not change, once it was
    asked; whoever changes the ports takes it away.
    `second` is the relay port of the other family, where the client has asked for both (RFC 8656 section
    7.2). Both end at the same time, unless one is given back before.
    """

    side: Side
    client: Address
    username: str
    port: RelayPort
    family: int
    expires_at: float
    transaction_id: bytes
    answer: Attributes
    permissions: dict[str, float] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    channels_by_peer: dict[Address, Channel] = field(default_factory=dict)
    second: RelayPort | None = None
    hears_errors: bool = False
    usage: Usage = field(default_factory=lambda: _NOBODY)
    ways: list[Ending] = field(default_factory=list)
    journal_head: str | None = field(default=None, compare=False, repr=False)
    five_tuple: FiveTuple = field(init=False)

    def __post_init__(self) -> None:
        """Work out once what the journal asks for with each change."""
        self.five_tuple = self.side.five_tuple_of(self.client)

    @property
    def ports(self) -> tuple[RelayPort, ...]:
        """The relay ports, one for each family."""
        return (self.port,) if self.second is None else (self.port, self.second)

    def port_to(self, host: str) -> RelayPort | None:
        """Return the relay port of a host's family; `None` if the allocation has none."""
        if self.second is None:
            return self.port if family_of(host) == self.family else None
        return self.port if family_of(host) == self.family else self.second

    def end_ways(self) -> None:
        """Have its data decided about again."""
        ways, self.ways = self.ways, []
        for way in ways:
            way.end()

    def permit(self, host: str, now: float) -> None:
        """Install or refresh the permission for a host."""
        self.permissions[host] = now + PERMISSION_SECONDS

    def bind(self, number: int, peer: Address, now: float) -> Channel:
        """Bind or refresh a channel; the caller has checked that number and peer belong together."""
        channel = Channel(number, peer, now + CHANNEL_SECONDS)
        self.channels[number] = channel
        self.channels_by_peer[peer] = channel
        return channel

    def unbind(self, channel: Channel) -> None:
        """Forget a channel."""
        del self.channels[channel.number]
        del self.channels_by_peer[channel.peer]

    def flow_of(self, channel: Channel) -> Flow:
        """Describe a channel to the data path."""
        port = self.port_to(channel.peer[0]) or self.port
        return Flow(  # by position, which costs half
            self.client,
            self.side.address,
            port.bound,
            port.published,
            channel.peer,
            channel.number,
            min(channel.expires_at, self.expires_at),
            self.username,
        )
