"""The seam for a data path that relays in the kernel.

For: a program that moves ChannelData without Python: it learns which flows there are, and until when.
Not for: Send and Data indications, which stay in userspace, and not for decisions: a flow is announced only
after the peer policy and the quotas have admitted it.

    ChannelBind, Refresh ──▶ flow_added (again with a later end: it replaces)
    channel or allocation ends, policy changes ──▶ flow_removed
"""

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


class DataPath(Protocol):
    """Whoever may move the data of bound channels; both calls return quickly and do not raise."""

    def flow_added(self, flow: Flow) -> None:
        """Learn of a flow, or of a new end of a known one: same client, server and channel."""

    def flow_removed(self, flow: Flow) -> None:
        """Stop relaying a flow before its time."""

    def data_seen(self, client: Address, server: Address, channel: int) -> None:
        """Learn of a datagram of a flow that userspace has relayed; one in `SAMPLE` is told."""


class UserspaceDataPath:
    """Leaves all data to the relay's own loop."""

    def flow_added(self, flow: Flow) -> None:
        """Do nothing."""

    def flow_removed(self, flow: Flow) -> None:
        """Do nothing."""

    def data_seen(self, client: Address, server: Address, channel: int) -> None:
        """Do nothing."""
