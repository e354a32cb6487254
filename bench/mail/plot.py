"""Draw figures of two servers beside each other, as an SVG: `make bench-mail ARGUMENTS="--plot FILE"`.

For: docs/measured. The scale is logarithmic, because the figures are tens of times apart.
Not for: measuring.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABELS, ROW, BAR, TOP = 760, 250, 44, 15, 40
TEXT = 'font-family="sans-serif" font-size="13" fill="#444"'
COLOURS = ("#2a7f62", "#9aa3ab")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both servers; less is better."""

    label: str
    ours: float
    theirs: float


def draw(rows: Sequence[Row], names: tuple[str, str]) -> str:
    """Draw a bar for each server and row."""
    least = min(min(row.ours, row.theirs) for row in rows)
    most = max(max(row.ours, row.theirs) for row in rows)
    low, high = math.floor(math.log10(least)), math.log10(most)
    unit = (WIDTH - LABELS - 70) / (high - low)
    height = TOP + ROW * len(rows) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {TEXT}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for number, name in enumerate(names):
        x = LABELS + 160 * number
        parts.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{COLOURS[number]}"/>')
        parts.append(f'<text x="{x + 18}" y="23">{escape(name)}</text>')
    for place, row in enumerate(rows):
        y = TOP + ROW * place
        parts.append(f'<text x="{LABELS - 10}" y="{y + 20}" text-anchor="end">{escape(row.label)}</text>')
        for number, value in enumerate((row.ours, row.theirs)):
            length = max(1.0, unit * (math.log10(value) - low))
            top = y + number * (BAR + 1)
            parts.append(
                f'<rect x="{LABELS}" y="{top}" width="{length:.0f}" height="{BAR}" fill="{COLOURS[number]}"/>'
            )
            parts.append(
                f'<text x="{LABELS + length + 5:.0f}" y="{top + 12}" font-size="11">{value:.3g}</text>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"
