"""What all channels of a replica do at the database, together."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from controlplane.nodes.desk import Desk
from controlplane.nodes.errands import Errand, Inquiry
from controlplane.nodes.rounds import Rounds
from nodelink.contract.reports import Report

REPORTS_PAUSE_SECONDS = 0.1
"""Each round of reports is a commit, and so a write to the disk that is waited for."""


@dataclass(slots=True, eq=False)
class ChannelWork:
    """The desk, and rounds of what is done there most often."""

    desk: Desk
    keys: Rounds[str, str | None] = field(init=False)
    hellos: Rounds[tuple[str, int, tuple[str, ...]], None] = field(init=False)
    errands: Rounds[Inquiry, Errand | None] = field(init=False)
    reports: Rounds[tuple[str, Report], bool] = field(init=False)
    lists: Rounds[str, str | None] = field(init=False)

    def __post_init__(self) -> None:
        self.keys = Rounds(self.desk.find_keys)
        self.hellos = Rounds(self.desk.note_hellos)
        self.errands = Rounds(self.desk.read_errands)
        self.reports = Rounds(self.desk.note_reports, REPORTS_PAUSE_SECONDS)
        self.lists = Rounds(self.desk.read_siblings)

    async def start(self, stack: AsyncExitStack) -> None:
        """Work until the stack unwinds."""
        for rounds in (self.keys, self.hellos, self.errands, self.reports, self.lists):
            await rounds.start(stack)
