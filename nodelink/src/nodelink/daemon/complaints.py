"""Complain in one line each, and never so often that the lines fill a journal.

For: whatever somebody else can cause again and again: refusals, connections that fail.
Not for: what we do ourselves; such events are rare, and each of them counts.

The same line is written three times at once, then once in ten minutes; all lines together are bounded, too.
How many were left out stands in the next one that is written.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

SAME_BURST, SAME_SECONDS = 3, 600.0
ALL_BURST, ALL_SECONDS = 60, 10.0
MAX_KINDS = 1000
"""So many different lines are told apart; more of them are bounded together only."""


@dataclass(slots=True)
class Complaints:
    """Where complaints go: `log`, as far as it bears them."""

    log: structlog.stdlib.BoundLogger
    clock: Callable[[], float] = time.monotonic
    left_out: int = field(init=False, default=0)
    _rested_at: dict[tuple[object, ...], float] = field(init=False, default_factory=dict)
    _all_rested_at: float = field(init=False, default=0.0)

    def info(self, event: str, **fields: object) -> None:
        """Say what nobody needs to act on."""
        if self._admit(event, fields):
            self.log.info(event, **fields, **self._tell_left_out())

    def warning(self, event: str, **fields: object) -> None:
        """Say what an operator may act on."""
        if self._admit(event, fields):
            self.log.warning(event, **fields, **self._tell_left_out())

    def error(self, event: str, **fields: object) -> None:
        """Say what an operator must act on."""
        if self._admit(event, fields):
            self.log.error(event, **fields, **self._tell_left_out())

    def _admit(self, event: str, fields: dict[str, object]) -> bool:
        now = self.clock()
        kind = (event, *(str(value) for value in fields.values()))
        same_rested_at = max(now, self._rested_at.get(kind, now))
        all_rested_at = max(now, self._all_rested_at)
        if (
            same_rested_at > now + (SAME_BURST - 1) * SAME_SECONDS
            or all_rested_at > now + (ALL_BURST - 1) * ALL_SECONDS
        ):
            self.left_out += 1
            return False
        self._all_rested_at = all_rested_at + ALL_SECONDS
        if kind not in self._rested_at and len(self._rested_at) >= MAX_KINDS:
            self._rested_at = {kind: at for kind, at in self._rested_at.items() if at > now}
        if kind in self._rested_at or len(self._rested_at) < MAX_KINDS:
            self._rested_at[kind] = same_rested_at + SAME_SECONDS
        return True

    def _tell_left_out(self) -> dict[str, int]:
        left_out, self.left_out = self.left_out, 0
        return {"left_out": left_out} if left_out else {}
