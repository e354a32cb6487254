"""All allocations of the node, and the count of each credential's.

For: finding an allocation by its relayed address (by its client: `Side`), and ending what is over.
Not for: granting anything (requests.py).
"""

from collections import Counter

from turnnode.relay.allocation import Allocation, Channel
from turnnode.relay.counters import RelayCounters
from turnnode.relay.data_path import DataPath
from turnnode.relay.memory import AllocationMemory
from turnnode.relay.peer_policy import PeerPolicy, Reach
from turnnode.stun.attributes import Address


class AllocationTable:
    """Owns the allocations: what leaves it is closed, and the data path and the memory know.

    `by_relay` holds them by the relayed address that peers were told.
    """

    def __init__(self, data_path: DataPath, counters: RelayCounters, memory: AllocationMemory) -> None:
        self.by_relay: dict[Address, Allocation] = {}
        self._data_path = data_path
        self._counters = counters
        self._memory = memory
        self._held: Counter[str] = Counter()

    def held_by(self, username: str) -> int:
        """Return how many live allocations a credential has."""
        return self._held[username]

    def add(self, allocation: Allocation) -> None:
        """Keep a new allocation."""
        self.adopt(allocation)
        self._counters.allocations_made += 1
        self._memory.remember(allocation)

    def adopt(self, allocation: Allocation) -> None:
        """Keep an allocation that a former process has made, with its channels."""
        allocation.side.allocations[allocation.client] = allocation
        self.by_relay[allocation.port.published] = allocation
        self._held[allocation.username] += 1
        self._counters.allocations += 1
        for channel in allocation.channels.values():
            self.announce(allocation, channel)

    def remember(self, allocation: Allocation) -> None:
        """Have a change of an allocation remembered."""
        self._memory.remember(allocation)

    def remove(self, allocation: Allocation) -> None:
        """End an allocation with all that hangs on it."""
        for channel in list(allocation.channels.values()):
            self.unbind(allocation, channel)
        del allocation.side.allocations[allocation.client]
        del self.by_relay[allocation.port.published]
        self._held[allocation.username] -= 1
        if not self._held[allocation.username]:
            del self._held[allocation.username]
        self._counters.allocations -= 1
        self._memory.forget(allocation)
        allocation.port.close()

    def announce(self, allocation: Allocation, channel: Channel) -> None:
        """Tell the data path of a channel, or of its new end."""
        self._data_path.flow_added(allocation.flow_of(channel))

    def unbind(self, allocation: Allocation, channel: Channel) -> None:
        """End a channel."""
        allocation.unbind(channel)
        self._data_path.flow_removed(allocation.flow_of(channel))

    def expire(self, now: float) -> None:
        """End what is over. What is over is not used before that, either: each use compares with its end."""
        for allocation in list(self.by_relay.values()):
            if allocation.expires_at <= now:
                self.remove(allocation)
                continue
            for channel in [channel for channel in allocation.channels.values() if channel.expires_at <= now]:
                self.unbind(allocation, channel)
            for host in [host for host, expires_at in allocation.permissions.items() if expires_at <= now]:
                del allocation.permissions[host]

    def end_forbidden(self, peers: PeerPolicy) -> None:
        """End the permissions and channels that a changed policy would not grant any more."""
        for allocation in self.by_relay.values():
            forbidden = [
                channel
                for channel in allocation.channels.values()
                if not peers.permits(channel.peer, is_live_relay=channel.peer in self.by_relay)
            ]
            hosts = [host for host in allocation.permissions if peers.reach_of(host) is Reach.NOTHING]
            for channel in forbidden:
                self.unbind(allocation, channel)
            for host in hosts:
                del allocation.permissions[host]
            if forbidden or hosts:
                self.remember(allocation)
