"""All allocations of the node, and the count of each credential's.

For: finding an allocation by its relayed address (by its client: `Side`), and ending what is over.
Not for: granting anything (requests.py).
"""

from collections import Counter
from collections.abc import Collection

from turnnode.relay.allocation import Allocation, Channel
from turnnode.relay.counters import RelayCounters
from turnnode.relay.data_path import DataPath
from turnnode.relay.memory import AllocationMemory
from turnnode.relay.peer_policy import PeerPolicy, Reach
from turnnode.relay.usage import Holdings, UsageTable
from turnnode.stun.attributes import Address, family_of


class AllocationTable:
    """Owns the allocations: what leaves it is closed, and the data path and the memory know.

    `holdings` are the permissions and channels of all of them; those of a credential are in its usage.

    `by_relay` holds them by the relayed address that peers were told.
    """

    def __init__(self, data_path: DataPath, counters: RelayCounters, memory: AllocationMemory) -> None:
        self.by_relay: dict[Address, Allocation] = {}
        self._data_path = data_path
        self._counters = counters
        self._memory = memory
        self.usages = UsageTable()
        self.holdings = Holdings()
        self._held: Counter[str] = Counter()

    def list_all(self) -> list[Allocation]:
        """List the allocations, each once although it may have two addresses."""
        return [each for address, each in self.by_relay.items() if address == each.port.published]

    def held_by(self, username: str) -> int:
        """Return how many live allocations a credential has."""
        return self._held[username]

    def add(self, allocation: Allocation) -> None:
        """Keep a new allocation."""
        self.adopt(allocation)
        self._counters.allocations_made += 1
        self.remember(allocation)

    def adopt(self, allocation: Allocation) -> None:
        """Keep an allocation that a former process has made, with its channels."""
        allocation.side.allocations[allocation.client] = allocation
        for port in allocation.ports:
            self.by_relay[port.published] = allocation
        self._held[allocation.username] += 1
        allocation.usage = self.usages.hold(allocation.username)
        self._counters.allocations += 1
        self._hold(allocation, len(allocation.permissions), len(allocation.channels))
        for channel in allocation.channels.values():
            self.announce(allocation, channel)

    def remember(self, allocation: Allocation) -> None:
        """Have a change of an allocation remembered: of a connection, nothing outlives the process."""
        if allocation.side.is_datagram:
            self._memory.remember(allocation)

    def remove(self, allocation: Allocation) -> None:
        """End an allocation with all that hangs on it."""
        allocation.end_ways()
        for channel in list(allocation.channels.values()):
            self.unbind(allocation, channel)
        del allocation.side.allocations[allocation.client]
        for port in allocation.ports:
            del self.by_relay[port.published]
        self._held[allocation.username] -= 1
        self._hold(allocation, -len(allocation.permissions), 0)
        allocation.usage.allocations -= 1
        if not self._held[allocation.username]:
            del self._held[allocation.username]
        self._counters.allocations -= 1
        if allocation.side.is_datagram:
            self._memory.forget(allocation)
        for port in allocation.ports:
            port.close()

    def give_up_family(self, allocation: Allocation, family: int) -> None:
        """End one of two families of an allocation, with what hangs on it."""
        if allocation.second is None:
            return
        allocation.end_ways()
        for channel in [one for one in allocation.channels.values() if family_of(one.peer[0]) == family]:
            self.unbind(allocation, channel)
        for host in [host for host in allocation.permissions if family_of(host) == family]:
            self._forbid(allocation, host)
        given_up, kept = allocation.port, allocation.second
        if family != allocation.family:
            given_up, kept = kept, given_up
        del self.by_relay[given_up.published]
        allocation.port, allocation.second, allocation.journal_head = kept, None, None
        allocation.family = family_of(kept.published[0])
        self.remember(allocation)
        given_up.close()

    def permit(self, allocation: Allocation, hosts: Collection[str], now: float) -> None:
        """Install or refresh the permissions for hosts."""
        before = len(allocation.permissions)
        for host in hosts:
            allocation.permit(host, now)
        self._hold(allocation, len(allocation.permissions) - before, 0)

    def bind(self, allocation: Allocation, number: int, peer: Address, now: float) -> None:
        """Bind or refresh a channel; the caller has checked that number and peer belong together."""
        before = len(allocation.channels)
        channel = allocation.bind(number, peer, now)
        self._hold(allocation, 0, len(allocation.channels) - before)
        self.announce(allocation, channel)

    def prolong(self, allocation: Allocation, expires_at: float) -> None:
        """Move the end of an allocation, which may come nearer."""
        allocation.end_ways()
        allocation.expires_at = expires_at
        for channel in allocation.channels.values():
            self.announce(allocation, channel)
        self.remember(allocation)

    def announce(self, allocation: Allocation, channel: Channel) -> None:
        """Tell the data path of a channel, or of its new end; userspace drops what is beyond the volume."""
        if not allocation.side.is_datagram:
            return
        if self.usages.is_used_up(allocation.username):
            self._data_path.flow_removed(allocation.flow_of(channel))
        else:
            self._data_path.flow_added(allocation.flow_of(channel))

    def announce_again(self, usernames: Collection[str] | None = None) -> None:
        """Tell the data path of all channels of some credentials, or of all: their volumes have changed."""
        for allocation in self.list_all():
            if usernames is None or allocation.username in usernames:
                for channel in allocation.channels.values():
                    self.announce(allocation, channel)

    def unbind(self, allocation: Allocation, channel: Channel) -> None:
        """End a channel."""
        allocation.end_ways()
        allocation.unbind(channel)
        self._hold(allocation, 0, -1)
        if allocation.side.is_datagram:
            self._data_path.flow_removed(allocation.flow_of(channel))

    def expire(self, now: float) -> None:
        """End what is over. What is over is not used before that, either: each use compares with its end."""
        for allocation in self.list_all():
            if allocation.expires_at <= now:
                self.remove(allocation)
                continue
            for channel in [channel for channel in allocation.channels.values() if channel.expires_at <= now]:
                self.unbind(allocation, channel)
            for host in [host for host, expires_at in allocation.permissions.items() if expires_at <= now]:
                self._forbid(allocation, host)

    def end_forbidden(self, peers: PeerPolicy) -> None:
        """End the permissions and channels that a changed policy would not grant any more."""
        for allocation in self.list_all():
            allocation.end_ways()
            forbidden = [
                channel
                for channel in allocation.channels.values()
                if not peers.permits(channel.peer, is_live_relay=channel.peer in self.by_relay)
            ]
            hosts = [host for host in allocation.permissions if peers.reach_of(host) is Reach.NOTHING]
            for channel in forbidden:
                self.unbind(allocation, channel)
            for host in hosts:
                self._forbid(allocation, host)
            if forbidden or hosts:
                self.remember(allocation)

    def _forbid(self, allocation: Allocation, host: str) -> None:
        del allocation.permissions[host]
        self._hold(allocation, -1, 0)

    def _hold(self, allocation: Allocation, permissions: int, channels: int) -> None:
        """Count so many more, or less."""
        for holdings in (allocation.usage.holdings, self.holdings):
            if permissions:
                holdings.permissions += permissions
            if channels:
                holdings.channels += channels
