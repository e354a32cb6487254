"""What has to be done between a grant and its answer, put off so that it is done once for many grants.

    datagrams read ─▶ each decided: owe(step) ─▶ settle: each step once ─▶ answers go out

For: whoever moves datagrams between sockets and the machine: if anything is `waiting`, `settle` comes before
the answer. The steps are those of the journal and of a data path: their system calls cost as much for thirty
calls as for one.
Not for: what may wait longer than an answer.
"""

from collections.abc import Callable

Step = Callable[[], None]


class Dues:
    """The steps that wait; each knows itself what it has to do."""

    def __init__(self) -> None:
        self.waiting: dict[Step, None] = {}

    def owe(self, step: Step) -> None:
        """Have a step taken before the next answer goes out."""
        self.waiting[step] = None

    def settle(self) -> None:
        """Take every step that waits."""
        while self.waiting:
            steps = list(self.waiting)
            self.waiting.clear()
            for step in steps:
                step()
