"""A node's figures as Prometheus reads them from the node itself.

For: every node; what each figure is stands in the contract, so both ends of the channel say the same.
Not for: the fleet's metrics, which the control plane offers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from nodelink.contract.figures import Figure, FigureKind


@dataclass(frozen=True, slots=True, eq=False)  # prometheus_client keeps collectors by identity
class FigureCollector:
    """The figures that `read` returns; names begin with `prefix`."""

    prefix: str
    known: Mapping[str, Figure]
    read: Callable[[], Mapping[str, float]]

    def collect(self) -> Iterable[Metric]:
        """Read all figures now."""
        for name, value in self.read().items():
            figure = self.known[name]
            family = CounterMetricFamily if figure.kind is FigureKind.COUNTER else GaugeMetricFamily
            yield family(f"{self.prefix}_{name}", figure.meaning, value=value)
