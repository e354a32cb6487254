"""Read and write amounts of bytes as people do: `500M`, `1.5G`.

For: the command line and the pages. K, M, G and T are powers of 1024.
Not for: limits; schemas have those.
"""

import re

UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}

_AMOUNT = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,3}))? ?([KMGT]?)(?:i?B)?", re.ASCII | re.IGNORECASE)


def parse_size(text: str) -> int | None:
    """Read an amount in bytes; `None` for what is none."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        return None
    whole, fraction, unit = match.groups()
    shift = UNITS[unit.upper()]
    thousandths = int(whole) * 1000 + int((fraction or "").ljust(3, "0"))
    return (thousandths << shift) // 1000


def format_size(size_bytes: int) -> str:
    """Write an amount in the largest unit that makes it at least one; exact where a whole number is."""
    unit = max(
        (unit for unit, shift in UNITS.items() if size_bytes >> shift), key=UNITS.__getitem__, default=""
    )
    if not unit:
        return f"{size_bytes}"
    amount = size_bytes / (1 << UNITS[unit])
    return f"{amount:.0f}{unit}" if amount == int(amount) else f"{amount:.1f}{unit}"


def format_exact_size(size_bytes: int) -> str:
    """Write an amount in the largest unit of which it is a whole number, so that nothing is lost."""
    units = [unit for unit, shift in UNITS.items() if size_bytes % (1 << shift) == 0 and size_bytes >> shift]
    unit = max(units, key=UNITS.__getitem__, default="")
    return f"{size_bytes >> UNITS[unit]}{unit}"
