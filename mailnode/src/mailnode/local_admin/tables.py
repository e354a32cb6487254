"""How results look to a person: columns, sizes, times.

For: commands.py.
Not for: asking anybody anything.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Read a size such as `500M` in bytes; units are powers of 1024. Raises: ValueError."""
    upper = text.strip().upper().removesuffix("B").removesuffix("I")
    number, unit = (upper[:-1], upper[-1]) if upper[-1:] in tuple("KMGT") else (upper, "")
    if not (number.isascii() and number.isdigit()):
        raise ValueError("write a whole number of bytes, or one with K, M, G or T, such as 500M")
    return int(number) * _UNITS[unit]


def show_size(size_bytes: int) -> str:
    """Write a size so that a person can grasp it."""
    for unit, factor in reversed(_UNITS.items()):
        if size_bytes >= factor and unit:
            return f"{size_bytes / factor:.1f} {unit}iB"
    return f"{size_bytes} B"


def show_table(rows: Sequence[Mapping[str, JsonValue]], columns: Mapping[str, str]) -> str:
    """Write rows below their headings; `columns` maps keys to headings."""
    lines = [list(columns.values())]
    lines += [[show_value(key, row.get(key)) for key in columns] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def show_record(record: Mapping[str, JsonValue]) -> str:
    """Write one thing, a line for each of its properties."""
    width = max((len(key) for key in record), default=0)
    return "\n".join(
        f"{show_name(key).ljust(width)}  {show_value(key, value)}".rstrip() for key, value in record.items()
    )


def show_name(key: str) -> str:
    """Turn a key into words, without the unit that the value is shown with."""
    return key.removesuffix("_bytes").removesuffix("_at_seconds").replace("_", " ")


def show_value(key: str, value: JsonValue) -> str:
    """Write a value as its key's unit demands."""
    text = str(value)
    match value:
        case bool():
            text = "yes" if value else "no"
        case int() if key.endswith("_bytes"):
            text = show_size(value)
        case int() if key.endswith("_at_seconds"):
            text = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M UTC")
        case list():
            text = ", ".join(show_value("", item) for item in value)
        case dict():
            text = ", ".join(f"{name}={show_value(name, item)}" for name, item in value.items())
        case None:
            text = ""
    return text or "-"
