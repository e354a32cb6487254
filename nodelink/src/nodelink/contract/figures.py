"""The figures in a report that others count on: what each is, and whether it only grows.

For: metrics of nodes and of the control plane, and the history that is kept of a node.
Not for: other figures that a node may tell; those are shown with the node, and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from nodelink.contract.states import NodeKind


class FigureKind(StrEnum):
    """How a figure moves."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Figure:
    """What a figure is. A counter only grows until its node starts anew; then it begins at 0."""

    kind: FigureKind
    meaning: str


def _gauge(meaning: str) -> Figure:
    return Figure(FigureKind.GAUGE, meaning)


def _counter(meaning: str) -> Figure:
    return Figure(FigureKind.COUNTER, meaning)


LOOP_LAG = "loop_lag_seconds"

_EVERYWHERE: Mapping[str, Figure] = {
    LOOP_LAG: _gauge("How late the node's event loop was, at the worst of the last seconds."),
}

MAIL_FIGURES: Mapping[str, Figure] = {
    "accounts": _gauge("Accounts."),
    "accounts_made": _counter("Accounts made since the start."),
    "imap_sessions": _gauge("Open IMAP sessions."),
    "imap_addresses": _gauge("Client addresses, or /64 of IPv6, that have them open."),
    "smtp_sessions": _gauge("Open SMTP sessions."),
    "messages_accepted": _counter("Messages taken from users."),
    "messages_refused": _counter("Messages of users refused at their end."),
    "messages_received": _counter("Messages taken from other nodes."),
    "messages_delivered": _counter("Messages that left the queue for other nodes, delivered or given up."),
    "queued_messages": _gauge("Messages that wait for other nodes."),
    "registration_open": _gauge("Whether anybody may register: 1 or 0."),
    "store_bytes": _gauge("What the mail store takes on its disk."),
    "disk_bytes": _gauge("Size of the file system of the mail store."),
    "disk_free_bytes": _gauge("What is free there."),
    **_EVERYWHERE,
}

TURN_FIGURES: Mapping[str, Figure] = {
    "allocations": _gauge("Live allocations."),
    "allocations_made": _counter("Allocations made since the start."),
    "packets_to_peers": _counter("Packets relayed to peers."),
    "bytes_to_peers": _counter("Bytes relayed to peers."),
    "packets_to_clients": _counter("Packets relayed to clients."),
    "bytes_to_clients": _counter("Bytes relayed to clients."),
    "packets_hairpinned": _counter("Of those, from another allocation of the node."),
    "refused": _counter("Requests refused."),
    "replies_withheld": _counter("Answers withheld from unproven sources."),
    "dropped_garbage": _counter("Datagrams that were nothing."),
    "dropped_unpermitted": _counter("Data that nobody had permitted."),
    "dropped_unsent": _counter("Datagrams that the operating system did not take."),
    "kernel_rung": _gauge("How data is relayed: 0 userspace, 1 generic XDP, 2 TC, 3 native XDP."),
    "kernel_flows": _gauge("Channels that the kernel relays."),
    "kernel_packets": _counter("Packets that the kernel has relayed."),
    "kernel_bytes": _counter("Bytes of them."),
    "kernel_dropped": _counter("Packets dropped there because of a credential's rate."),
    **_EVERYWHERE,
}

FIGURES: Mapping[NodeKind, Mapping[str, Figure]] = {
    NodeKind.MAIL: MAIL_FIGURES,
    NodeKind.TURN: TURN_FIGURES,
}
