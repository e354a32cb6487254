"""A store in memory that takes everything but reports, as a disk that becomes full between two messages."""

from collections.abc import Sequence

from mailnode.store.mail_store import AccountId, Envelope, Recipient, StoreUnavailableError
from support.store_memory import MemoryMailStore


class ReportlessStore(MemoryMailStore):
    """Refuses reports until it is told to take them."""

    def __init__(self) -> None:
        super().__init__()
        self.takes_reports = False
        self.reports_refused = 0

    async def deliver(
        self,
        recipients: Sequence[Recipient],
        body: bytes,
        now_seconds: int,
        envelopes: Sequence[Envelope] = (),
    ) -> frozenset[AccountId]:
        if not self.takes_reports and b"multipart/report" in body:
            self.reports_refused += 1
            raise StoreUnavailableError("no report is taken")
        return await super().deliver(recipients, body, now_seconds, envelopes)
