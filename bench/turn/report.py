"""Put what was measured into a table and a plot.

For: kernel.py. Pure functions from figures to text.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Final

Figures = Mapping[str, float]

_WIDTH, _BAR, _GAP, _LEFT, _TOP = 760, 16, 22, 150, 56
_COLOURS: Final = {
    "coturn": "#8a8a8a",
    "userspace": "#c58b2a",
    "generic-xdp": "#5a8f5a",
    "tc": "#3a6ea5",
    "forwarding": "#cccccc",
    "bare-xdp": "#cccccc",
}
_TITLE: Final = "CPU time per relayed packet, ns (logarithmic; veth is no network card)"
_OTHER_COLOUR: Final = "#7a3e8e"


def medians_of(rounds: Sequence[Figures]) -> dict[str, float]:
    """Take the median of each figure over all rounds."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def table_of(results: Mapping[str, Figures], sizes: Sequence[int], flows: Sequence[int]) -> str:
    """Write a table in Markdown, with a row for each server."""
    heads = ["server"]
    for what in ("CPU ns per packet", "highest rate with ≤ 0.5 % loss, kpps"):
        heads += [f"{what}, {size} B: {' / '.join(map(str, flows))} flows" for size in sizes]
    heads += ["round trip added, µs", "legs of calls per core-second"]
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for name, figures in results.items():
        cells = [name]
        for key in ("cpu_ns", "kpps"):
            cells += [
                " / ".join(f"{figures[f'{key}_{size}_{many}']:,.0f}" for many in flows) for size in sizes
            ]
        # What only passes frames on sets up no calls.
        cells += [
            f"{figures[key]:{form}}" if key in figures else "–"
            for key, form in (("added_rtt_us", ".1f"), ("legs_per_second", ",.0f"))
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot_of(results: Mapping[str, Figures], sizes: Sequence[int], flows: Sequence[int]) -> str:
    """Draw the CPU time per packet as SVG: a bar for each server and load, on a logarithmic scale."""
    loads = [(size, many) for size in sizes for many in flows]
    height = _TOP + len(loads) * (len(results) * _BAR + _GAP)
    most = max(figures[f"cpu_ns_{size}_{many}"] for figures in results.values() for size, many in loads)
    scale = (_WIDTH - _LEFT - 90) / (math.log10(most) - 2)  # the axis begins at 100 ns
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="Arial">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<g font-size="12"><text x="10" y="20" font-size="14">{_TITLE}</text>',
    ]
    place = _TOP
    for size, many in loads:
        parts.append(f'<text x="10" y="{place - 6}" font-weight="bold">{size} B, {many} flows</text>')
        for name, figures in results.items():
            spent = figures[f"cpu_ns_{size}_{many}"]
            width = max(1.0, (math.log10(spent) - 2) * scale)
            colour = _COLOURS.get(name, _OTHER_COLOUR)
            parts += [
                f'<text x="{_LEFT - 8}" y="{place + 12}" text-anchor="end">{name}</text>',
                f'<rect x="{_LEFT}" y="{place + 2}" width="{width:.1f}" height="12" fill="{colour}"/>',
                f'<text x="{_LEFT + width + 6:.1f}" y="{place + 12}">{spent:,.0f}</text>',
            ]
            place += _BAR
        place += _GAP
    return "\n".join([*parts, "</g></svg>"]) + "\n"
