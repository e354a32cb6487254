"""Keep many deadlines at the price of one timer.

For: thousands of sessions, each of which wants to be looked at within two minutes.
Not for: exact times. A deadline is served in the second after it, and may be served too early, so whoever is
served looks at the clock.
"""

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar


class Scheduled(Protocol):
    """Something with a deadline. The wheel writes `due_second`; zero means that it has none."""

    due_second: int


Entry = TypeVar("Entry", bound=Scheduled)


class DeadlineWheel(Generic[Entry]):
    """Entries by the second in which they are due."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: dict[int, set[Entry]] = {}

    def put(self, entry: Entry, due_at_seconds: float) -> None:
        """Give an entry a deadline, in place of the one that it has."""
        self.remove(entry)
        entry.due_second = int(due_at_seconds) + 1
        self._slots.setdefault(entry.due_second, set()).add(entry)

    def remove(self, entry: Entry) -> None:
        """Forget an entry's deadline."""
        slot = self._slots.get(entry.due_second)
        if slot is not None:
            slot.discard(entry)
            if not slot:
                del self._slots[entry.due_second]
        entry.due_second = 0

    def take_due(self, now_seconds: float) -> Iterable[Entry]:
        """Take out what is due; it has no deadline afterwards."""
        due: list[Entry] = []
        for second in [second for second in self._slots if second <= now_seconds]:
            due += self._slots.pop(second)
        for entry in due:
            entry.due_second = 0
        return due
