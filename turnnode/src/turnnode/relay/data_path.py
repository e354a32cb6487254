"""The seam for a data path that relays in the kernel.

For: a program that moves ChannelData without Python: it learns which flows there are, and until when.
Not for: Send and Data indications, which stay in userspace, and not for decisions: a flow is announced only
after the peer policy and the quotas have admitted it.

    ChannelBind, Refresh ──▶ flow_added (again with a later end: it replaces)
    channel or allocation ends, policy changes, volume used up ──▶ flow_removed
    policy changes ──▶ limit_rate          each second: take_usage ──▶ what credentials have used (usage.py)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from turnnode.stun.attributes import Address

SAMPLE: Final = 32
"""Of so many datagrams, a data path is told of one: that must cost a packet nothing."""


class Flow(NamedTuple):
    """One bound channel, by the addresses on the wire; `published` is what peers call `relay`.

    When `peer` is the published address of another allocation of this node, both ends are clients. The data
    path may join the two flows; userspace does so in any case. `username` is whose rate the data counts to.
    """

    client: Address
    server: Address
    relay: Address
    published: Address
    peer: Address
    channel: int
    expires_at: float
    username: str = ""


@dataclass(slots=True)
class Relayed:
    """What was relayed, and dropped because of a rate; bytes are of payload."""

    packets: int = 0
    bytes: int = 0
    dropped: int = 0


class DataPath(Protocol):
    """Whoever may move the data of bound channels; all calls return quickly and do not raise."""

    def flow_added(self, flow: Flow) -> None:
        """Learn of a flow, or of a new end of a known one: same client, server and channel."""

    def flow_removed(self, flow: Flow) -> None:
        """Stop relaying a flow before its time; one that is not known is no fault."""

    def data_seen(self, client: Address, server: Address, channel: int) -> None:
        """Learn of a datagram of a flow that userspace has relayed; one in `SAMPLE` is told."""

    def limit_rate(self, bytes_per_second_each: int, bytes_per_second: int) -> None:
        """Limit the data of each credential, and of all, both ways together, from now on; 0 is no limit."""

    def take_usage(self) -> Mapping[str, Relayed]:
        """Tell what each credential has used since the last call; those that used nothing are left out."""


class UserspaceDataPath:
    """Leaves all data to the relay's own loop."""

    def flow_added(self, flow: Flow) -> None:
        """Do nothing."""

    def flow_removed(self, flow: Flow) -> None:
        """Do nothing."""

    def data_seen(self, client: Address, server: Address, channel: int) -> None:
        """Do nothing."""

    def limit_rate(self, bytes_per_second_each: int, bytes_per_second: int) -> None:
        """Do nothing: userspace counts for itself."""

    def take_usage(self) -> Mapping[str, Relayed]:
        """Tell of nothing."""
        return {}
