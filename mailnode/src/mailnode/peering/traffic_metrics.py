"""The traffic table as Prometheus reads it from the node itself.

For: the daemon's metrics.
Not for: what is counted (traffic.py), or the fleet's metrics, which the control plane offers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from mailnode.peering.traffic import Traffic
from nodelink.contract.federation import MAX_PEERS_SHOWN
from nodelink.contract.figures import PEER_FIGURES, FigureKind


@dataclass(frozen=True, slots=True, eq=False)  # prometheus_client keeps collectors by identity
class TrafficCollector:
    """The peers that something happened with last: a bounded number, however many there are."""

    traffic: Traffic

    def collect(self) -> Iterable[Metric]:
        """Read them now."""
        peers = self.traffic.list_peers(MAX_PEERS_SHOWN).peers
        for name, figure in PEER_FIGURES.items():
            family = CounterMetricFamily if figure.kind is FigureKind.COUNTER else GaugeMetricFamily
            metric = family(f"mailnode_traffic_{name}", figure.meaning, labels=["peer"])
            for peer in peers:
                value = getattr(peer, name)
                if value is not None:
                    metric.add_metric([peer.domain], value)
            yield metric
