"""Print tables and JSON.

For: whatever comes from nodes as well: it is printed without control characters, which a terminal would obey.
"""

import json
from collections.abc import Iterable, Sequence

from pydantic import JsonValue


def make_printable(text: str) -> str:
    """Replace what is no printable character."""
    return "".join(character if character.isprintable() else "?" for character in text)


def write_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write rows in columns."""
    table = [[make_printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def write_json(value: JsonValue) -> str:
    """Write a value for other programs. Escapes all that is not ASCII, control characters included."""
    return json.dumps(value, indent=2)
