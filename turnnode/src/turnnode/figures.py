"""What the node tells of its relay: figures by name, and what single credentials have used.

For: reports and metrics. What each figure is stands in nodelink.contract.figures.
Not for: counting (relay/counters.py, relay/usage.py, kernel/flows.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from nodelink.contract.figures import TURN_REFUSALS
from nodelink.contract.reports import MAX_CREDENTIALS, CredentialUse
from turnnode.kernel.flows import Totals
from turnnode.kernel.path import KernelPath
from turnnode.kernel.rungs import Rung, number_of
from turnnode.relay.counters import RelayCounters
from turnnode.relay.policy import RelayPolicyHolder
from turnnode.relay.usage import UsageTable, pseudonym_key

_FAMILIES: Final = (
    ("allocations", "Live allocations of a credential; those with the most data only."),
    ("packets", "Packets relayed for a credential, both ways, until it ends."),
    ("bytes", "Bytes of them."),
    ("dropped", "Packets dropped because of its limits."),
)


def read_figures(counters: RelayCounters, kernel: KernelPath | None, connections: int) -> dict[str, float]:
    """Read the counters by name."""
    in_kernel = Totals() if kernel is None else kernel.read_totals()
    in_userspace = counters.packets_to_peers + counters.packets_to_clients
    relayed = in_kernel.packets + in_userspace
    refusals = {f"refused_{status}": counters.refused[status] for status in TURN_REFUSALS}
    return {
        "allocations": counters.allocations,
        "allocations_made": counters.allocations_made,
        "allocate_seconds": counters.allocate_seconds,
        "allocate_worst_seconds": counters.allocate_worst_seconds,
        "connections": connections,
        "connections_refused": counters.connections_refused,
        "packets_to_peers": counters.packets_to_peers,
        "bytes_to_peers": counters.bytes_to_peers,
        "packets_to_clients": counters.packets_to_clients,
        "bytes_to_clients": counters.bytes_to_clients,
        "packets_hairpinned": counters.packets_hairpinned,
        "refused": counters.refused.total(),
        **refusals,
        "replies_withheld": counters.replies_withheld,
        "dropped_garbage": counters.dropped_garbage,
        "dropped_over_limit": counters.dropped_over_limit,
        "dropped_unpermitted": counters.dropped_unpermitted,
        "dropped_unsent": counters.dropped_unsent,
        "kernel_rung": number_of(Rung.USERSPACE if kernel is None else kernel.rung),
        "kernel_flows": 0 if kernel is None else kernel.flows,
        "kernel_packets": in_kernel.packets,
        "kernel_bytes": in_kernel.bytes,
        "kernel_dropped": in_kernel.dropped,
        "kernel_share": in_kernel.packets / relayed if relayed else 0.0,
    }


@dataclass(frozen=True, slots=True, eq=False)  # prometheus_client keeps collectors by identity
class CredentialUses:
    """The credentials with the most data, by pseudonym: a bounded number, however many there are."""

    usages: UsageTable
    policy: RelayPolicyHolder

    def list_largest(self) -> tuple[CredentialUse, ...]:
        """List them, the largest first; none before there is a secret to make pseudonyms with."""
        key = pseudonym_key(self.policy.current.secrets)
        if not key:
            return ()
        return tuple(
            CredentialUse(
                pseudonym=usage.pseudonym,
                allocations=usage.allocations,
                packets=usage.packets,
                bytes=usage.bytes,
                dropped=usage.dropped,
            )
            for usage in self.usages.list_largest(MAX_CREDENTIALS, key)
        )

    def collect(self) -> Iterable[Metric]:
        """Read them now, as Prometheus wants them."""
        uses = self.list_largest()
        for name, meaning in _FAMILIES:
            family = GaugeMetricFamily(f"turnnode_credential_{name}", meaning, labels=["credential"])
            for use in uses:
                family.add_metric([use.pseudonym], getattr(use, name))
            yield family
