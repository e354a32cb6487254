"""Print tables and JSON.

For: whatever comes from nodes as well: it is printed without control characters, which a terminal would obey.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import typer

from controlplane.policy.quantities import format_size

Row: TypeAlias = Mapping[str, object]
Column: TypeAlias = tuple[str, str | Callable[[Row], str]]
"""The head of a column, and the field that it shows or what makes its cell."""

NOTHING = "-"


def make_printable(text: str) -> str:
    """Replace what is no printable character."""
    return "".join(character if character.isprintable() else "?" for character in text)


def write_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write rows in columns."""
    table = [[make_printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def write_json(value: object) -> str:
    """Write a value for other programs. Escapes all that is not ASCII, control characters included."""
    return json.dumps(value, indent=2)


def print_json(value: object) -> None:
    """Print a value for other programs."""
    typer.echo(write_json(value))


def print_list(items: Sequence[Row], columns: Sequence[Column], *, as_json: bool, empty: str) -> None:
    """Print a list as a table, or as JSON; or say what there is to do where it is empty."""
    if as_json:
        print_json(list(items))
    elif items:
        header = [head for head, _ in columns]
        typer.echo(write_table(header, [[write_cell(item, cell) for _, cell in columns] for item in items]))
    else:
        typer.echo(empty)


def print_item(item: Row, columns: Sequence[Column], *, as_json: bool) -> None:
    """Print one thing, a line for each of its properties, or as JSON."""
    if as_json:
        print_json(dict(item))
        return
    width = max(len(head) for head, _ in columns) + 2
    for head, cell in columns:
        typer.echo(f"{head + ':':<{width}}{make_printable(write_cell(item, cell))}")


def print_done(answer: Row, sentence: str, *, as_json: bool) -> None:
    """Say that something is done, or print what the control plane answered."""
    if as_json:
        print_json(dict(answer))
    else:
        typer.echo(make_printable(sentence))


def write_cell(item: Row, cell: str | Callable[[Row], str]) -> str:
    """Write what a column shows of an item."""
    value = item.get(cell) if isinstance(cell, str) else cell(item)
    match value:
        case None | "":
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def size_of(field: str) -> Callable[[Row], str]:
    """Make a cell of an amount of bytes."""

    def write(item: Row) -> str:
        value = item.get(field)
        return format_size(value) if isinstance(value, int) else NOTHING

    return write


def moment_of(field: str, *, never: str = NOTHING) -> Callable[[Row], str]:
    """Make a cell of a moment."""

    def write(item: Row) -> str:
        value = item.get(field)
        return format_moment(value) if isinstance(value, int) else never

    return write


def format_moment(seconds: int) -> str:
    """Write a moment, in UTC."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return str(seconds)
