"""Mail that leaves the node: what may be queued, and for whom; and the lanes that work it off.

For: SMTP, which asks where a recipient's domain leads and says what it has queued; the daemon.
Not for: one domain's queue (lane.py).
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from mailnode.accounts.accounts import Accounts
from mailnode.federation.lane import Lane
from mailnode.federation.retry import GIVE_UP_SECONDS
from mailnode.federation.siblings import Siblings
from mailnode.federation.transport import Transport
from mailnode.federation.ways import Ways
from mailnode.peering.courier import Courier
from mailnode.peering.policy import NOT_OFFERED, find_peer
from mailnode.smtp.failure_report import report_failure
from mailnode.store.mail_store import Envelope, MailStore, Outgoing
from nodelink.daemon.tasks import Spawn, open_task_group

MAX_QUEUED_BYTES = 4 << 30
"""Beyond that, mail to other nodes is refused for the time being: a disk is for what people have received."""

PURGED_AT_ONCE = 500


@dataclass(slots=True, kw_only=True)
class Outbound:
    """The way out. It does nothing until it is started. `courier` is `None` where there are no peers."""

    store: MailStore
    accounts: Accounts
    siblings: Siblings
    transport: Transport
    courier: Courier | None = None
    give_up_seconds: int = GIVE_UP_SECONDS
    clock_seconds: Callable[[], float] = time.time
    max_queued_bytes: int = MAX_QUEUED_BYTES
    queued_count: int = field(init=False, default=0)
    delivered_count: int = field(init=False, default=0)
    _queued_bytes: int = field(init=False, default=0)
    _lanes: dict[str, Lane] = field(init=False, default_factory=dict)
    _spawn: Spawn | None = field(init=False, default=None)

    async def start(self, stack: AsyncExitStack) -> None:
        """Work until the stack unwinds; what waits then is still there at the next start."""
        waiting = await self._count_anew()
        stack.push_async_callback(self._ways().close)
        self._spawn = await open_task_group(stack)
        for destination in waiting:
            self._wake(destination)

    def find_destination(self, domain: str, *, is_report: bool = False) -> str | None:
        """Find where mail for a domain goes; `None` where that is nowhere."""
        sibling = self.siblings.find_domain(domain)
        if sibling is not None:
            return sibling.domain
        peer = find_peer(domain)
        return None if peer is None or self.explain(domain, is_report=is_report) is not None else peer

    def explain(self, domain: str, *, is_report: bool = False) -> str | None:
        """Tell why mail for a domain that is no node's goes nowhere; `None` where it goes."""
        if self.courier is None:
            return NOT_OFFERED
        return self.courier.policy.current.explain(find_peer(domain) or domain, is_report=is_report)

    def has_room(self) -> bool:
        """Tell whether more may be queued."""
        return self._queued_bytes < self.max_queued_bytes

    def note_queued(self, envelopes: Sequence[Envelope], size_bytes: int) -> None:
        """Hear that a message is in the queue."""
        self.queued_count += len(envelopes)
        self._queued_bytes += size_bytes * len(envelopes)
        for envelope in envelopes:
            self._count(envelope.destination, 1)
            self._wake(envelope.destination)

    async def purge(self, destination: str | None) -> int:
        """Let go what waits for a domain, or for all; return how many messages. Senders are not told.

        One that is being handed over at this moment may arrive all the same.
        """
        destinations = await self.store.count_outgoing() if destination is None else [destination]
        count = 0
        for each in destinations:
            while rows := await self.store.list_outgoing(each, PURGED_AT_ONCE):
                await self.store.finish_outgoing(*(row.id for row in rows))
                count += len(rows)
        await self._count_anew(destinations)
        return count

    async def _count_anew(self, emptied: Iterable[str] = ()) -> Mapping[str, int]:
        """Count what waits, by domain, as the store has it; `emptied` may have nothing any more."""
        usage = await self.store.read_outgoing_usage()
        waiting = await self.store.count_outgoing()
        self.queued_count, self._queued_bytes = usage.message_count, usage.size_bytes
        if self.courier is not None:
            for destination, count in {**dict.fromkeys(emptied, 0), **waiting}.items():
                if self.siblings.find_domain(destination) is None:
                    self.courier.traffic.set_queued(destination, count)
        return waiting

    def _wake(self, destination: str) -> None:
        lane = self._lanes.get(destination)
        if lane is None and self._spawn is not None:
            ways = self._ways()
            lane = self._lanes[destination] = Lane(
                destination=destination,
                store=self.store,
                sender=ways,
                batches=ways,
                report=self._report,
                clock_seconds=self.clock_seconds,
                on_gone=self._note_gone,
                give_up_seconds=self.give_up_seconds,
            )
            self._spawn(self._run(lane))
        if lane is not None:
            lane.wake()

    async def _run(self, lane: Lane) -> None:
        await lane.run()
        del self._lanes[lane.destination]

    def _ways(self) -> Ways:
        return Ways(siblings=self.siblings, transport=self.transport, courier=self.courier)

    def _count(self, destination: str, change: int) -> None:
        if self.courier is not None and self.siblings.find_domain(destination) is None:
            self.courier.traffic.note_queued(destination, change)

    def _note_gone(self, row: Outgoing) -> None:
        # A purge may have counted anew while this one was on its way.
        self.queued_count = max(0, self.queued_count - 1)
        self.delivered_count += 1
        self._count(row.envelope.destination, -1)
        self._queued_bytes = max(0, self._queued_bytes - row.size_bytes)

    async def _report(self, row: Outgoing, message: bytes, refused: Mapping[str, str]) -> None:
        if not row.envelope.sender:
            return  # a report of ours: nobody is told that a report did not arrive (RFC 5321 section 4.5.5)
        await report_failure(
            self.accounts,
            self.store,
            sender=row.envelope.sender,
            refused=refused,
            message=message,
            now_seconds=self.clock_seconds(),
        )
