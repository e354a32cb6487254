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
PUSH_FAILURES = "notification_failures"

_EVERYWHERE: Mapping[str, Figure] = {
    LOOP_LAG: _gauge("How late the node's event loop was, at the worst of the last seconds."),
}

MAIL_FIGURES: Mapping[str, Figure] = {
    "accounts": _gauge("Accounts."),
    "accounts_made": _counter("Accounts made since the start."),
    "accounts_near_quota": _gauge("Accounts that hold nine tenths of their quota or more."),
    "imap_sessions": _gauge("Open IMAP sessions."),
    "imap_addresses": _gauge("Client addresses, or /64 of IPv6, that have them open."),
    "smtp_sessions": _gauge("Open SMTP sessions."),
    "messages_accepted": _counter("Messages taken from users."),
    "messages_refused": _counter("Messages of users refused at their end."),
    "messages_received": _counter("Messages taken from other nodes."),
    "messages_delivered": _counter("Messages that left the queue for other nodes, delivered or given up."),
    "notifications_pushed": _counter("Device tokens that the notification proxy took."),
    PUSH_FAILURES: _gauge("Attempts in a row that the notification proxy did not take."),
    "queued_messages": _gauge("Messages that wait for other nodes."),
    "peer_delivered_https": _counter("Messages handed to servers of others by HTTPS."),
    "peer_delivered_http": _counter("Messages handed to servers of others by HTTP."),
    "peer_delivered_smtp": _counter("Messages handed to servers of others by SMTP."),
    "peer_failed_https": _counter("Attempts by HTTPS that failed."),
    "peer_failed_http": _counter("Attempts by HTTP that failed."),
    "peer_failed_smtp": _counter("Attempts by SMTP that failed."),
    "peer_refused": _counter("Messages that servers of others, or the policy, refused for good."),
    "peer_received": _counter("Messages taken from servers of others."),
    "peer_dropped": _counter("Messages of exchangers that were not taken, of senders who are not proved."),
    "registration_open": _gauge("Whether anybody may register: 1 or 0."),
    "store_bytes": _gauge("What the mail store takes on its disk."),
    "disk_bytes": _gauge("Size of the file system of the mail store."),
    "disk_free_bytes": _gauge("What is free there."),
    **_EVERYWHERE,
}

PEER_FIGURES: Mapping[str, Figure] = {
    "queued": _gauge("Messages that wait for a server of others."),
    "delivered_https": _counter("Messages handed to it by HTTPS."),
    "delivered_http": _counter("Messages handed to it by HTTP."),
    "delivered_smtp": _counter("Messages handed to it by SMTP."),
    "failed_https": _counter("Attempts by HTTPS that failed."),
    "failed_http": _counter("Attempts by HTTP that failed."),
    "failed_smtp": _counter("Attempts by SMTP that failed."),
    "refused": _counter("Messages that it, or the policy, refused for good."),
    "received": _counter("Messages taken from it."),
    "mean_latency_seconds": _gauge("How long messages to it took lately, from the queue on."),
    "last_seen_seconds": _gauge("When something last passed either way: Unix time."),
}
"""What is known of a server of others: the fields of `federation.PeerTraffic` that are numbers, or `None`."""

TURN_REFUSALS: Mapping[int, str] = {
    400: "malformed",
    401: "no, a wrong or an ended credential",
    403: "a peer that the policy forbids",
    420: "an unknown attribute",
    437: "no such allocation, or one already",
    438: "a nonce that is too old or another's",
    440: "no address of the family",
    441: "another credential's allocation",
    442: "a transport that is not relayed",
    443: "a peer of another family",
    486: "the credential's quota",
    508: "the node's quota, or drained",
}
"""Why requests are refused, by STUN error code."""

TURN_FIGURES: Mapping[str, Figure] = {
    "allocations": _gauge("Live allocations."),
    "allocations_made": _counter("Allocations made since the start."),
    "allocate_seconds": _counter("How long Allocate requests took, together."),
    "allocate_worst_seconds": _gauge("How long one took at worst since the start."),
    "connections": _gauge("Clients that are connected by TCP or TLS."),
    "connections_refused": _counter("Connections that were too many."),
    "packets_to_peers": _counter("Packets relayed to peers."),
    "bytes_to_peers": _counter("Bytes relayed to peers."),
    "packets_to_clients": _counter("Packets relayed to clients."),
    "bytes_to_clients": _counter("Bytes relayed to clients."),
    "packets_hairpinned": _counter("Of those, from another allocation of the node."),
    "refused": _counter("Requests refused."),
    **{f"refused_{status}": _counter(f"Of those: {reason}.") for status, reason in TURN_REFUSALS.items()},
    "replies_withheld": _counter("Answers withheld from unproven sources."),
    "dropped_garbage": _counter("Datagrams that were nothing."),
    "dropped_over_limit": _counter("Data beyond a credential's or the node's rate or volume."),
    "dropped_unpermitted": _counter("Data that nobody had permitted."),
    "dropped_unsent": _counter("Datagrams that the operating system did not take."),
    "kernel_rung": _gauge("How data is relayed: 0 userspace, 1 generic XDP, 2 TC, 3 native XDP."),
    "kernel_flows": _gauge("Channels that the kernel relays."),
    "kernel_packets": _counter("Packets that the kernel has relayed."),
    "kernel_bytes": _counter("Bytes of them."),
    "kernel_dropped": _counter("Packets dropped there because of a credential's rate."),
    "kernel_share": _gauge("Which part of all packets the kernel has relayed: 0 to 1."),
    **_EVERYWHERE,
}

FIGURES: Mapping[NodeKind, Mapping[str, Figure]] = {
    NodeKind.MAIL: MAIL_FIGURES,
    NodeKind.TURN: TURN_FIGURES,
}
