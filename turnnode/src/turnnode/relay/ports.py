"""Which relay ports are free, and which one is next.

For: RelaySockets (sockets.py).
Not for: opening them.

    fresh ── drawn at random, so that nobody can guess the next ──▶ in use ── put back ──▶ used
      ▲                                                                                  │
      └────────────────────────── when all of them have been drawn ──────────────────────┘

So a port that was given back rests as long as it can: what is still on its way to its former owner is lost.
"""

import random
from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PortRange:
    """The ports to relay from, both ends included."""

    first: int = 49_152
    last: int = 65_535

    def __post_init__(self) -> None:
        """Refuse a range that is empty or reaches into the ports of services.

        Raises:
            ValueError: It does.
        """
        if not 1024 <= self.first <= self.last <= 65_535:
            raise ValueError(f"a range of relay ports goes upwards from 1024 to 65535 at most: {self}")


class PortPool:
    """The free ports of one address; those in `taken` are in use already."""

    def __init__(self, ports: PortRange, taken: Container[int] = ()) -> None:
        self._fresh = [port for port in range(ports.first, ports.last + 1) if port not in taken]
        self._used: list[int] = []
        self._chance = random.SystemRandom()

    def __len__(self) -> int:
        return len(self._fresh) + len(self._used)

    def draw(self) -> int:
        """Take a port out; there must be one."""
        if not self._fresh:
            self._fresh, self._used = self._used, []
        place = self._chance.randrange(len(self._fresh))
        self._fresh[place], self._fresh[-1] = self._fresh[-1], self._fresh[place]
        return self._fresh.pop()

    def draw_even(self, *, with_next: bool) -> tuple[int, ...]:
        """Take out an even port, and the one above it if asked for; nothing where there is none such."""
        free = {*self._fresh, *self._used}
        even = [port for port in free if port % 2 == 0 and (not with_next or port + 1 in free)]
        if not even:
            return ()
        first = self._chance.choice(even)
        drawn = (first, first + 1) if with_next else (first,)
        for port in drawn:
            (self._fresh if port in self._fresh else self._used).remove(port)
        return drawn

    def put_back(self, port: int) -> None:
        """Give a port back."""
        self._used.append(port)
