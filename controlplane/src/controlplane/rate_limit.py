"""Count wrong attempts of each client address, by the generic cell rate algorithm (GCRA).

For: telling a guesser to slow down.
Not for: right tokens; those are never looked up here, so nobody can lock somebody else out. Nor for telling
clients apart (client_address.py).

Source: ITU-T I.371 annex A.1 (virtual scheduling).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

MAX_KEYS = 10_000


@dataclass(slots=True, kw_only=True)
class RateLimit:
    """`events` in each `period_seconds` for each key on average, `burst` of them at one instant.

    A key costs one float, and is forgotten when it is rested. With `max_keys` in use, further ones are not
    counted: that many addresses guess no faster than one, and memory stays bounded.
    """

    events: int
    period_seconds: float
    burst: int
    max_keys: int = MAX_KEYS
    clock: Callable[[], float] = monotonic
    _rested_at: dict[str, float] = field(init=False, default_factory=dict)

    def admit(self, key: str) -> bool:
        """Count an event of a key; tell whether it is still within the limit. A refused one costs nothing."""
        now = self.clock()
        interval = self.period_seconds / self.events
        rested_at = max(now, self._rested_at.get(key, now))
        if now < rested_at - (self.burst - 1) * interval:
            return False
        if key not in self._rested_at and len(self._rested_at) >= self.max_keys:
            self._forget_rested(now)
            if len(self._rested_at) >= self.max_keys:
                return True
        self._rested_at[key] = rested_at + interval
        return True

    def _forget_rested(self, now: float) -> None:
        for key in [key for key, rested_at in self._rested_at.items() if rested_at <= now]:
            del self._rested_at[key]
