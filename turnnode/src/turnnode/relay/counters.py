"""What the relay counts.

For: whoever shows numbers; they only grow, but for `allocations`.
Not for: addresses, names or anything else that says who calls whom.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class RelayCounters:
    """Numbers since the start.

    Attributes:
        allocations: Live now.
        allocations_made: Made since the start.
        allocate_seconds, allocate_worst_seconds: How long Allocate requests took, in sum and at worst.
        packets_to_peers, bytes_to_peers: Data of clients that went to peers over a socket; payload only.
        packets_to_clients, bytes_to_clients: Data of peers that went to clients; payload only.
        packets_hairpinned: Of the latter, those whose peer was another allocation of this node.
        refused: Error responses, by STUN error code.
        replies_withheld: Answers that a source did not get because it had not proved who it is.
        connections_refused: Connections of TCP and TLS that were too many.
        dropped_garbage: Datagrams that were no STUN, no ChannelData, or nothing that a client may say.
        dropped_over_limit: Data beyond a credential's or the node's rate or volume.
        dropped_unpermitted: Data without an allocation, a channel, a permission or a permitted peer.
        dropped_unsent: Datagrams that the operating system did not take.
    """

    allocations: int = 0
    allocations_made: int = 0
    allocate_seconds: float = 0.0
    allocate_worst_seconds: float = 0.0
    packets_to_peers: int = 0
    bytes_to_peers: int = 0
    packets_to_clients: int = 0
    bytes_to_clients: int = 0
    packets_hairpinned: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    replies_withheld: int = 0
    connections_refused: int = 0
    dropped_garbage: int = 0
    dropped_over_limit: int = 0
    dropped_unpermitted: int = 0
    dropped_unsent: int = 0
