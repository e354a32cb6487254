"""The whole fleet as Prometheus reads it, by what nodes reported last.

For: the metrics port, and the Admin API for whoever scrapes with a token.
Not for: the control plane's own counters, which their parts register.

    madfleet_node_up{node,kind,group}         1 if connected; the other series of a node are there only then
    madfleet_mail_…, madfleet_turn_…          the figures of reports (nodelink.contract.figures)
    madfleet_mail_traffic_…{peer}             those of the servers of others that a report names
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from controlplane.nodes.models import NodePublic
from controlplane.nodes.reports import list_nodes
from controlplane.plane import Plane
from nodelink.contract.figures import FIGURES, PEER_FIGURES, FigureKind
from nodelink.contract.states import NodeKind

LABELS = ("node", "kind", "group")


@dataclass(frozen=True, slots=True, eq=False)  # prometheus_client keeps collectors by identity
class FleetCollector:
    """The fleet as the database has it at each scrape."""

    plane: Plane
    clock: Callable[[], float] = time.time

    def collect(self) -> Iterable[Metric]:
        """Read all nodes now."""
        with self.plane.sessions() as session:
            nodes = list_nodes(session, int(self.clock()))
        yield from write_metrics(nodes)

    def describe(self) -> Iterable[Metric]:
        """Name what there will be, without asking the database at a start."""
        return write_metrics([])


def write_metrics(nodes: Sequence[NodePublic]) -> list[Metric]:
    """Write what is known of nodes."""
    up = GaugeMetricFamily("madfleet_node_up", "Whether the node is connected.", labels=LABELS)
    age = GaugeMetricFamily("madfleet_node_report_age_seconds", "Age of its last report.", labels=LABELS)
    problems = GaugeMetricFamily("madfleet_node_problems", "Problems that it reports.", labels=LABELS)
    behind = GaugeMetricFamily(
        "madfleet_node_revisions_behind", "How far it is behind what is wanted of it.", labels=LABELS
    )
    draining = GaugeMetricFamily("madfleet_node_draining", "Whether it gets nothing new.", labels=LABELS)
    info = InfoMetricFamily("madfleet_node", "What it runs.", labels=LABELS)
    for node in nodes:
        labels = write_labels(node)
        up.add_metric(labels, int(node.is_connected))
        draining.add_metric(labels, int(node.is_draining))
        if node.report is None or not node.is_connected:
            continue
        age.add_metric(labels, node.report_age_seconds or 0)
        problems.add_metric(labels, len(node.report.problems))
        behind.add_metric(labels, max(0, node.revision - node.applied_revision))
        info.add_metric(labels, {"version": node.report.software_version})
    of_nodes = [up, age, problems, behind, draining, info]
    return [*of_nodes, *_write_probes(nodes), *_write_figures(nodes), *_write_traffic(nodes)]


def write_labels(node: NodePublic) -> list[str]:
    """Write the labels of a node's series."""
    return [node.name, node.kind, node.group or ""]


def _write_probes(nodes: Sequence[NodePublic]) -> list[Metric]:
    labels = (*LABELS, "peer")
    success = GaugeMetricFamily("madfleet_probe_success", "Whether the last probe succeeded.", labels=labels)
    seconds = GaugeMetricFamily("madfleet_probe_seconds", "How long the last one took.", labels=labels)
    for node in nodes:
        for probe in node.report.probes if node.report is not None and node.is_connected else ():
            success.add_metric([*write_labels(node), probe.peer], int(probe.seconds is not None))
            if probe.seconds is not None:
                seconds.add_metric([*write_labels(node), probe.peer], probe.seconds)
    return [success, seconds]


def _write_figures(nodes: Sequence[NodePublic]) -> Iterable[Metric]:
    for kind in NodeKind:
        reports = [(node, node.report) for node in nodes if node.kind == kind and node.is_connected]
        for name, figure in FIGURES[kind].items():
            family = CounterMetricFamily if figure.kind is FigureKind.COUNTER else GaugeMetricFamily
            metric = family(f"madfleet_{kind}_{name}", figure.meaning, labels=LABELS)
            for node, report in reports:
                if report is not None and name in report.figures:
                    metric.add_metric(write_labels(node), report.figures[name])
            yield metric


def _write_traffic(nodes: Sequence[NodePublic]) -> Iterable[Metric]:
    reports = [(node, node.report) for node in nodes if node.report is not None and node.is_connected]
    for name, figure in PEER_FIGURES.items():
        family = CounterMetricFamily if figure.kind is FigureKind.COUNTER else GaugeMetricFamily
        metric = family(f"madfleet_mail_traffic_{name}", figure.meaning, labels=(*LABELS, "peer"))
        for node, report in reports:
            for peer in report.peers:
                value = getattr(peer, name)
                if value is not None:
                    metric.add_metric([*write_labels(node), peer.domain], value)
        yield metric
