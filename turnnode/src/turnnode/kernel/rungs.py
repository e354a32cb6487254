"""The rungs of the ladder: where a program may relay, the fastest first.

For: settings, the ladder, and whoever shows which rung is in use.
"""

from enum import StrEnum
from typing import Final


class Rung(StrEnum):
    """A way to relay."""

    XDP = "xdp"
    TC = "tc"
    GENERIC_XDP = "generic-xdp"
    USERSPACE = "userspace"


class RungChoice(StrEnum):
    """What an operator may set: the best that there is, or a certain rung and nothing else."""

    AUTO = "auto"
    XDP = "xdp"
    TC = "tc"
    GENERIC_XDP = "generic-xdp"
    USERSPACE = "userspace"


LADDER: Final = (Rung.XDP, Rung.TC, Rung.GENERIC_XDP, Rung.USERSPACE)


def rungs_of(choice: RungChoice) -> tuple[Rung, ...]:
    """List the rungs to try, in order."""
    return LADDER if choice is RungChoice.AUTO else (Rung(choice.value),)


def number_of(rung: Rung) -> int:
    """Return a number for charts: 0 is userspace, and higher is faster."""
    return len(LADDER) - 1 - LADDER.index(rung)
