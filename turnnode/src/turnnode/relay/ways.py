"""What becomes of a bound channel's data, found out once and then remembered: so a packet costs one look-up.

    first datagram ─▶ machine, by all rules ─▶ a way is found ─▶ the next ones take it
    channel or allocation ends, Refresh, changed policy ─▶ its ways end, and the machine decides again

For: ChannelData of clients by UDP, and what their peers send to a bound channel, in userspace.
Not for: indications, requests, and clients by TCP: for those the machine decides each time.

Datagrams of one size that follow each other on a way leave together: the kernel divides them again
(UDP_SEGMENT) after it has gone through most of its stack only once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from turnnode.relay.allocation import Allocation, Outlet, Side
from turnnode.relay.counters import RelayCounters
from turnnode.relay.data_path import SAMPLE, DataPath
from turnnode.relay.table import AllocationTable
from turnnode.relay.tray import Destination, Tray
from turnnode.relay.usage import Usage
from turnnode.stun.attributes import Address
from turnnode.stun.channel_data import is_channel_data

MAX_TOGETHER: Final = 64  # as many does the kernel divide
MAX_TOGETHER_BYTES: Final = 60_000  # below what IP lets one datagram be, before the kernel divides it
MIN_KNOWN: Final = 64

ChannelEnd = tuple[Address, Address, int]
"""A client's address, ours, and the channel's number."""


class Way:
    """Where the data of one channel goes, in one direction.

    Args:
        outlet, address: By what and to whom it is sent.
        until: When the machine has to decide again.
        usages: Who pays for it: both, where the other end is a client, too.
        header: The channel's number for a client; empty for a peer.
        source: The channel that it came by; `None` if it came from a peer.

    Where the outlet is a socket, readers.py says how one datagram is sent by system calls alone: to a peer by
    `sendto`; to a client by `direct`, which takes it from where it lies.
    """

    __slots__ = ("address", "direct", "header", "outlet", "sendto", "source", "until", "usages")

    def __init__(  # noqa: PLR0913 - all that is known of it
        self,
        outlet: Outlet,
        address: Address,
        *,
        until: float,
        usages: tuple[Usage, ...],
        header: bytes = b"",
        source: ChannelEnd | None = None,
    ) -> None:
        self.until = until
        self.usages = usages
        self.header = header
        self.source = source
        self.outlet = outlet
        self.address = address
        self.direct: tuple[Tray, Destination] | None = None
        self.sendto: Callable[[bytes, Address], int] | None = None

    def send(self, datas: list[bytes]) -> None:
        """Send data, in their order."""
        header, outlet, address = self.header, self.outlet, self.address
        datagrams = [header + len(data).to_bytes(2) + data for data in datas] if header else datas
        if len(datagrams) == 1:
            outlet.send(datagrams[0], address)
            return
        for run in divide(datagrams):
            if len(run) == 1:
                outlet.send(run[0], address)
            else:
                outlet.send_together(run, address)

    def end(self) -> None:
        """Lead nowhere any more."""
        self.until = 0.0


def divide(datagrams: list[bytes]) -> Iterator[list[bytes]]:
    """Divide datagrams into what may leave together: of one size, of which the last may be shorter."""
    start, size_bytes = 0, len(datagrams[0])
    for place in range(1, len(datagrams)):
        count, next_bytes = place - start, len(datagrams[place])
        if (
            count == MAX_TOGETHER
            or (count + 1) * size_bytes > MAX_TOGETHER_BYTES
            or next_bytes > size_bytes
            or next_bytes == 0
            or len(datagrams[place - 1]) < size_bytes
        ):
            yield datagrams[start:place]
            start, size_bytes = place, next_bytes
    yield datagrams[start:]


class KnownWays:
    """The ways from one socket, by how the datagrams that take them begin."""

    def __init__(self) -> None:
        self.by_key: dict[bytes, Way] = {}
        self._room = MIN_KNOWN

    def keep(self, key: bytes, way: Way) -> None:
        """Remember a way; those that have ended are forgotten before there are twice as many as are live."""
        if len(self.by_key) >= self._room:
            live = {key: way for key, way in self.by_key.items() if way.until}
            self.by_key.clear()
            self.by_key.update(live)
            self._room = max(MIN_KNOWN, 2 * len(live))
        self.by_key[key] = way


class Ways:
    """Finds ways, and counts what goes on them.

    They hang on the allocations that they belong to, and end with them.
    """

    def __init__(
        self,
        table: AllocationTable,
        counters: RelayCounters,
        data_path: DataPath,
        relay_hosts: frozenset[str],
    ) -> None:
        self._table = table
        self._usages = table.usages
        self._counters = counters
        self._data_path = data_path
        self._relay_hosts = relay_hosts
        self._until_sample = SAMPLE

    @property
    def are_limited(self) -> bool:
        """Tell whether data needs to be admitted before it takes a way."""
        return self._usages.is_limited

    def admit(self, way: Way, size_bytes: int, now: float) -> bool:
        """Tell whether a datagram may be relayed, and count it to those who pay: only under a limit."""
        for usage in way.usages:
            if not self._usages.admit(usage, size_bytes, now):
                self._counters.dropped_over_limit += 1
                return False
        return True

    def find_from_client(self, side: Side, datagram: bytes, client: Address) -> Way | None:
        """Find the way of a datagram that the machine has just relayed; `None` if it has to decide again."""
        allocation = side.allocations.get(client)
        if allocation is None or not side.is_datagram or not is_channel_data(datagram):
            return None
        number = int.from_bytes(datagram[:2])
        channel = allocation.channels.get(number)
        if channel is None:
            return None
        port = allocation.port_to(channel.peer[0])
        if port is None:
            return None
        until = min(allocation.expires_at, channel.expires_at)
        source = client, side.address, number
        if channel.peer[0] not in self._relay_hosts:
            way = Way(
                port,
                channel.peer,
                until=until,
                usages=(allocation.usage,),
                source=source,
            )
            return _hang(way, allocation)
        target = self._table.by_relay.get(channel.peer)
        return (
            None
            if target is None
            else self._find_to_client(target, port.published, allocation, until=until, source=source)
        )

    def find_from_peer(self, relay: Address, peer: Address) -> Way | None:
        """Find the way of what a peer sent to a relay address; `None` if it has no channel."""
        allocation = self._table.by_relay.get(relay)
        return None if allocation is None else self._find_to_client(allocation, peer)

    def send(self, waiting: Mapping[Way, list[bytes]]) -> None:
        """Send what waits on each way, and count it."""
        for way, datas in waiting.items():
            if len(datas) > 1 or way.sendto is None:
                way.send(datas)
                continue
            try:
                way.sendto(datas[0], way.address)
            except OSError:  # perhaps one that an earlier datagram has met
                way.send(datas)
        self.count(
            [
                (way, len(datas), len(datas[0]) if len(datas) == 1 else sum(map(len, datas)))
                for way, datas in waiting.items()
            ]
        )

    def count(self, relayed: Iterable[tuple[Way, int, int]]) -> None:
        """Count what was sent: on each way, so many datagrams, and so many octets of their data."""
        counters, is_limited = self._counters, self._usages.is_limited
        packets_to_peers = bytes_to_peers = packets_to_clients = bytes_to_clients = packets_sampled = 0
        source = None
        for way, packets, size_bytes in relayed:
            if not is_limited:  # otherwise `admit` has counted
                for usage in way.usages:
                    usage.packets += packets
                    usage.bytes += size_bytes
            if not way.header:
                packets_to_peers += packets
                bytes_to_peers += size_bytes
            else:
                packets_to_clients += packets
                bytes_to_clients += size_bytes
                if way.source is not None:
                    counters.packets_hairpinned += packets
            if way.source is not None:
                source = way.source
                packets_sampled += packets
        counters.packets_to_peers += packets_to_peers
        counters.bytes_to_peers += bytes_to_peers
        counters.packets_to_clients += packets_to_clients
        counters.bytes_to_clients += bytes_to_clients
        if source is not None:
            self.sample(packets_sampled, source)

    def sample(self, packets: int, source: ChannelEnd) -> None:
        """Tell the data path of one datagram in `SAMPLE` that came here by a channel."""
        self._until_sample -= packets
        if self._until_sample <= 0:
            self._until_sample = SAMPLE
            self._data_path.data_seen(*source)

    def _find_to_client(
        self,
        target: Allocation,
        peer: Address,
        sender: Allocation | None = None,
        *,
        until: float = float("inf"),
        source: ChannelEnd | None = None,
    ) -> Way | None:
        channel = target.channels_by_peer.get(peer)
        if channel is None or not target.side.is_datagram:
            return None
        way = Way(
            target.side.outlet,
            target.client,
            until=min(until, target.expires_at, channel.expires_at),
            usages=(target.usage,) if sender is None else (sender.usage, target.usage),
            header=channel.number.to_bytes(2),
            source=source,
        )
        if sender is not None and sender is not target:
            _hang(way, sender)
        return _hang(way, target)


def _hang(way: Way, allocation: Allocation) -> Way:
    """Have a way end with an allocation; those that have ended before are forgotten."""
    allocation.ways = [one for one in allocation.ways if one.until]
    allocation.ways.append(way)
    return way
