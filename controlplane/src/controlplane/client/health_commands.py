"""Commands about how the fleet is: its last day, what nodes found when they probed one another, its metrics.

Not for: the present state in one look (fleet_commands.py), nor for nodes (node_commands.py).
"""

from typing import Annotated

import typer

from controlplane.client.api import Document, write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.options import JsonOption, NodeOption, check_duration, parse_seconds
from controlplane.client.output import (
    NOTHING,
    Column,
    Row,
    format_moment,
    make_printable,
    moment_of,
    print_json,
    print_list,
    write_table,
)

SECONDS_PER_MINUTE = 60
SUMMARY_HEADER = ("FIGURE", "LATEST", "LEAST", "MOST")


def add_health_commands(app: typer.Typer) -> None:
    """Add the commands about health to the command line."""
    app.command("history")(show_history)
    app.command("probes")(list_probes)
    app.command("metrics")(print_metrics)


def show_history(
    context: typer.Context,
    *,
    node: NodeOption = None,
    since: Annotated[
        str,
        typer.Option(
            "--since", callback=check_duration, help="Only the last such as 30m or 12h; 24h are kept."
        ),
    ] = "24h",
    figures: Annotated[
        list[str] | None,
        typer.Option("--figure", help="This figure, minute by minute; several times for several."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how the figures of the fleet or of a node were; counters by how much they grew in a minute."""
    minutes = (parse_seconds(since) or 0) // SECONDS_PER_MINUTE
    path = "/history" if node is None else write_path("nodes", node, "history")
    with open_api(context) as api:
        found = api.get(path, {"minutes": minutes})
    if figures:
        found["figures"] = _choose_figures(found["figures"], figures)
    if as_json:
        print_json(found)
    elif figures:
        typer.echo(write_table(("MINUTE (UTC)", *found["figures"]), _list_minutes(found)))
    elif found["figures"]:
        rows = [_sum_up(name, values) for name, values in found["figures"].items()]
        typer.echo(write_table(SUMMARY_HEADER, rows))
    else:
        typer.echo("Nothing was reported in this time.")


def list_probes(
    context: typer.Context,
    *,
    failing: Annotated[bool, typer.Option("--failing", help="Only those that failed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what nodes found when they last probed one another: by a message, or by a call through TURN."""
    with open_api(context) as api:
        found = api.list_all("/probes", {"failing": failing})
    empty = "No probe has failed." if failing else "No node has probed another yet."
    print_list(found, PROBE_COLUMNS, as_json=as_json, empty=empty)


def print_metrics(context: typer.Context) -> None:
    """Print the metrics of the fleet as Prometheus reads them."""
    with open_api(context) as api:
        text = "".join(api.read_text("/metrics"))
    for line in text.removesuffix("\n").split("\n"):
        typer.echo(make_printable(line))


def _choose_figures(figures: Document, names: list[str]) -> Document:
    unknown = [name for name in names if name not in figures]
    if unknown:
        known = ", ".join(figures) or "none"
        raise MisuseError(f"There is no figure {', '.join(unknown)} in this time. There are: {known}.")
    return {name: figures[name] for name in names}


def _list_minutes(found: Document) -> list[tuple[str, ...]]:
    columns = [[_write_figure(value) for value in values] for values in found["figures"].values()]
    moments = [format_moment(at_seconds) for at_seconds in found["times_seconds"]]
    return list(zip(moments, *columns, strict=True))


def _sum_up(name: str, values: list[float | None]) -> tuple[str, ...]:
    known = [value for value in values if value is not None]
    shown = (known[-1], min(known), max(known)) if known else (None, None, None)
    return name, *map(_write_figure, shown)


def _write_figure(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.6f}".rstrip("0").rstrip(".")


def _write_seconds(item: Row) -> str:
    seconds = item.get("seconds")
    return f"{seconds:.3f}" if isinstance(seconds, int | float) else NOTHING


PROBE_COLUMNS: list[Column] = [
    ("NODE", "node"),
    ("PEER", "peer"),
    ("KIND", "kind"),
    ("ENDED (UTC)", moment_of("at_seconds")),
    ("SECONDS", _write_seconds),
    ("PROBLEM", "problem"),
]
