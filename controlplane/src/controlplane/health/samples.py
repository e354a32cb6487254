"""The last day of the fleet at one minute: kept, forgotten and read.

For: charts. `read_node_history` and `read_fleet_history` are what pages and the Admin API show.
Not for: more than a day; that is what Prometheus is for.

    reports ── once a minute ──▶ node_sample (raw) ──▶ fleet_sample (sums; counters as growth)
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from sqlmodel import Session, col, delete, select

from controlplane.health.sample_models import FleetSample, HistoryPublic, NodeSample
from controlplane.nodes.models import Node, NodeReport
from controlplane.nodes.reports import is_fresh, read_report
from nodelink.contract.figures import FIGURES, FigureKind
from nodelink.contract.reports import Report
from nodelink.contract.states import NodeKind

INTERVAL_SECONDS = 60
KEPT_MINUTES = 24 * 60
NOT_ADDED_UP = frozenset({"loop_lag_seconds", "registration_open"})
"""Gauges whose sum says nothing; the fleet's is the largest."""

Figures = Mapping[str, float]


def floor_minute(now_seconds: int) -> int:
    """Return the beginning of a minute."""
    return now_seconds - now_seconds % INTERVAL_SECONDS


def keep_samples(session: Session, now_seconds: int) -> bool:
    """Keep how all nodes are at this minute, and forget what is older than a day.

    Returns:
        Whether this minute was not kept yet, by whichever process. Two that do it at once collide at the
        commit, and one of them has lost nothing.
    """
    minute = floor_minute(now_seconds)
    if session.get(FleetSample, minute) is not None:
        return False
    former = _read_samples(session, minute - INTERVAL_SECONDS)
    nodes = session.exec(select(Node)).all()
    rows = {row.node_name: row for row in session.exec(select(NodeReport))}
    samples: list[tuple[NodeKind, Figures, Figures | None]] = []
    for node in nodes:
        row = rows.get(node.name)
        if row is None or not is_fresh(now_seconds - row.received_at_seconds):
            continue
        report = read_report(row)
        if report is None:
            continue
        figures = select_figures(report)
        samples.append((NodeKind(node.kind), figures, former.get(node.name)))
        sample = {"node_name": node.name, "at_seconds": minute, "figures": _write(figures)}
        session.add(NodeSample.model_validate(sample))
    total = add_up(samples) | {"nodes": len(nodes), "connected_nodes": len(samples)}
    session.add(FleetSample.model_validate({"at_seconds": minute, "figures": _write(total)}))
    oldest = minute - (KEPT_MINUTES - 1) * INTERVAL_SECONDS
    session.exec(delete(NodeSample).where(col(NodeSample.at_seconds) < oldest))
    session.exec(delete(FleetSample).where(col(FleetSample.at_seconds) < oldest))
    return True


def read_node_history(session: Session, node: Node, minutes: int, now_seconds: int) -> HistoryPublic:
    """Read a node's last minutes, the present one included; minutes without a report are null."""
    times = list_minutes(minutes, now_seconds)
    before = times[0] - INTERVAL_SECONDS
    statement = select(NodeSample).where(
        col(NodeSample.node_name) == node.name, col(NodeSample.at_seconds) >= before
    )
    samples = {row.at_seconds: _read(row.figures) for row in session.exec(statement)}
    kind = NodeKind(node.kind)
    shown = {
        at_seconds: _show_growth(kind, figures, samples.get(at_seconds - INTERVAL_SECONDS))
        for at_seconds, figures in samples.items()
        if at_seconds != before
    }
    return _tabulate(times, shown)


def read_fleet_history(session: Session, minutes: int, now_seconds: int) -> HistoryPublic:
    """Read the fleet's last minutes, the present one included; minutes that nobody has kept are null."""
    times = list_minutes(minutes, now_seconds)
    statement = select(FleetSample).where(col(FleetSample.at_seconds) >= times[0])
    return _tabulate(times, {row.at_seconds: _read(row.figures) for row in session.exec(statement)})


def list_minutes(minutes: int, now_seconds: int) -> list[int]:
    """List the last minutes, the present one last."""
    last = floor_minute(now_seconds)
    return [last - ago * INTERVAL_SECONDS for ago in reversed(range(minutes))]


def select_figures(report: Report) -> dict[str, float]:
    """Select the figures of a report that a history is kept of."""
    return {name: report.figures[name] for name in FIGURES[report.kind] if name in report.figures}


def add_up(samples: Iterable[tuple[NodeKind, Figures, Figures | None]]) -> dict[str, float]:
    """Add up the figures of nodes: gauges as they are, of counters how much they grew since the last minute.

    A figure that both kinds of node have is one figure of the fleet.
    """
    total: dict[str, float] = {}
    for kind, figures, former in samples:
        for name, value in _show_growth(kind, figures, former).items():
            if value is None:
                continue
            known = total.get(name, 0.0)
            total[name] = max(known, value) if name in NOT_ADDED_UP else known + value
    return total


def measure_growth(value: float, former: float) -> float:
    """Tell how much a counter grew; one that is smaller than before has begun at 0 again."""
    return value - former if value >= former else value


def _show_growth(kind: NodeKind, figures: Figures, former: Figures | None) -> dict[str, float | None]:
    shown: dict[str, float | None] = {}
    for name, value in figures.items():
        figure = FIGURES[kind].get(name)
        if figure is None:
            continue
        if figure.kind is FigureKind.GAUGE:
            shown[name] = value
        else:
            shown[name] = (
                None if former is None or name not in former else measure_growth(value, former[name])
            )
    return shown


def _tabulate(times: Sequence[int], rows: Mapping[int, Mapping[str, float | None]]) -> HistoryPublic:
    names = sorted({name for row in rows.values() for name in row})
    figures = {name: [rows.get(at_seconds, {}).get(name) for at_seconds in times] for name in names}
    return HistoryPublic(interval_seconds=INTERVAL_SECONDS, times_seconds=list(times), figures=figures)


def _read_samples(session: Session, at_seconds: int) -> dict[str, dict[str, float]]:
    statement = select(NodeSample).where(col(NodeSample.at_seconds) == at_seconds)
    return {row.node_name: _read(row.figures) for row in session.exec(statement)}


def _read(text: str) -> dict[str, float]:
    figures: dict[str, float] = json.loads(text)
    return figures


def _write(figures: Figures) -> str:
    return json.dumps(dict(figures), separators=(",", ":"))
