"""Work off what waits for one domain.

    rows due? ── none ──▶ wait for the next one's time, or a new one; nothing for long ──▶ end
        │
        ▼ one, then more at once as long as somebody is reached: who is not to be reached holds nothing up
      sent ──▶ delivered, or refused for good: the sender hears who did not get it ──▶ gone from the queue
        ├────▶ this message later
        └────▶ not to be reached: everything later, and what has waited for too long is given up

Where the other side takes several messages in one request, all that came while one was under way go together
(batch.py), and are let go together.

For: outbound.py, which has one for each domain.
Not for: sending as such (transport.py), or what a failure means (retry.py).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, assert_never

import structlog

from mailnode.federation.batch import MAX_BATCH_MESSAGES, plan_requests
from mailnode.federation.retry import (
    LONGEST_MESSAGE_PAUSE_SECONDS,
    Delivered,
    Failed,
    Outcome,
    Refused,
    explain_overdue,
    is_overdue,
    pause_after,
)
from mailnode.store.mail_store import MailStore, Outgoing, StoreUnavailableError

AT_ONCE = 8
STORE_PAUSE_SECONDS = 5.0
IDLE_SECONDS = 60.0
SWEPT_AT_ONCE = 500
DELIVERED = Delivered()
LOST_HERE = "this server has lost the message"

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Sender(Protocol):
    """Whoever hands messages over; `ways.Ways` is one."""

    async def send(self, row: Outgoing, message: bytes) -> Outcome:
        """Try once."""

    def find_longest_pause(self, destination: str) -> float:
        """Tell how many seconds pass at most before a destination that was not reached is tried again."""


class BatchSender(Protocol):
    """Whoever hands several over at once; `ways.Ways` is one."""

    def takes_batches(self, destination: str) -> bool:
        """Tell whether messages for a destination may go together now."""

    async def send_batch(self, destination: str, messages: "Sequence[Queued]") -> Sequence[Outcome]:
        """Try once; return what became of each."""


Queued = tuple[Outgoing, bytes]
"""What waits, with its message."""
Report = Callable[[Outgoing, bytes, Mapping[str, str]], Awaitable[None]]
"""Tell the sender of a message who did not get it, and why."""


@dataclass(slots=True, kw_only=True, eq=False)
class Lane:
    """The queue of one domain.

    `on_gone` is called for each message that has left it; `give_up_seconds` is how long one may wait.
    `batches` is `None` where each message goes alone.
    """

    destination: str
    store: MailStore
    sender: Sender
    report: Report
    clock_seconds: Callable[[], float]
    on_gone: Callable[[Outgoing], None]
    give_up_seconds: int
    batches: BatchSender | None = None
    _woken: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _failures: int = field(init=False, default=0)
    _width: int = field(init=False, default=1)
    _last_reason: str = field(init=False, default="")
    _finished_count: int = field(init=False, default=0)

    def wake(self) -> None:
        """Look for something new. A node that cannot be reached is not asked more often by that."""
        self._woken.set()

    async def run(self) -> None:
        """Work until there was nothing to do for a while."""
        while True:
            self._woken.clear()
            try:
                pause_seconds = await self._work()
            except StoreUnavailableError as error:
                log.warning("queue not readable", reason=str(error))
                await asyncio.sleep(STORE_PAUSE_SECONDS)
                continue
            if self._failures:
                longest_seconds = self.sender.find_longest_pause(self.destination)
                await asyncio.sleep(pause_after(self._failures, longest_seconds, _draw()))
                continue
            try:
                async with asyncio.timeout(IDLE_SECONDS if pause_seconds is None else pause_seconds):
                    await self._woken.wait()
            except TimeoutError:
                if pause_seconds is None and not self._woken.is_set():
                    return

    async def _work(self) -> float | None:
        """Try what is due; return how long there is nothing more to do, `None` for ever."""
        batches = self.batches
        is_joined = batches is not None and batches.takes_batches(self.destination)
        limit = self._width * MAX_BATCH_MESSAGES if is_joined else self._width
        rows = await self.store.list_outgoing(self.destination, limit)
        now_seconds = self.clock_seconds()
        due = [row for row in rows if row.next_attempt_at_seconds <= now_seconds]
        if not due:
            return rows[0].next_attempt_at_seconds - now_seconds if rows else None
        requests = plan_requests(due, self._width) if is_joined else [[row] for row in due]
        finished_count = self._finished_count
        is_reached = not all(await _gather([self._attempt(request) for request in requests]))
        self._failures = 0 if is_reached else self._failures + 1
        self._width = min(2 * self._width, AT_ONCE) if is_reached else 1
        if self._failures:
            await self._give_up_overdue()
        is_empty = len(rows) < limit and self._finished_count - finished_count == len(rows)
        return None if is_empty else 0  # what has come since then has called `wake`

    async def _attempt(self, rows: Sequence[Outgoing]) -> bool:
        """Try what goes in one request; tell whether nothing else needs be tried now."""
        try:
            queued = [each for row in rows if (each := await self._read(row)) is not None]
            outcomes = await self._send(queued) if queued else []
            is_plain = [outcome == DELIVERED for outcome in outcomes]
            done = [row for (row, _), plain in zip(queued, is_plain, strict=True) if plain]
            if done:
                await self._finish(*done)
        except StoreUnavailableError as error:  # it would end the whole group otherwise
            log.warning("queue not writable", reason=str(error))
            return True
        if len(done) == len(queued):
            return False
        left = zip(queued, outcomes, is_plain, strict=True)
        troubles = await _gather([self._settle(*each, outcome) for each, outcome, plain in left if not plain])
        return not done and all(troubles)

    async def _settle(self, row: Outgoing, message: bytes, outcome: Outcome) -> bool:
        """Do what follows from an outcome; tell whether nothing else needs be tried now."""
        try:
            match outcome:
                case Delivered():
                    await self._divide(row, message, outcome)
                case Refused():
                    log.warning("mail refused elsewhere", destination=self.destination, reason=outcome.reason)
                    await self._conclude(row, message, dict.fromkeys(row.envelope.recipients, outcome.reason))
                case Failed():
                    await self._fail(row, message, outcome)
                    return outcome.is_of_node
                case _:
                    assert_never(outcome)
        except StoreUnavailableError as error:
            log.warning("queue not writable", reason=str(error))
            return True
        return False

    async def _read(self, row: Outgoing) -> Queued | None:
        """Read a message; `None` for one that is gone: its sender hears so, and it leaves the queue."""
        message = await self.store.read_body(row.body_id)
        if message is None:
            log.error("queued message has no body", destination=self.destination)
            await self._conclude(row, b"", dict.fromkeys(row.envelope.recipients, LOST_HERE))
            return None
        return row, message

    async def _send(self, queued: Sequence[Queued]) -> Sequence[Outcome]:
        """Send; what a server may do that nobody has thought of is the trouble of these messages alone."""
        try:
            if len(queued) == 1 or self.batches is None:
                return [await self.sender.send(row, message) for row, message in queued]
            return await self.batches.send_batch(self.destination, queued)
        except Exception as error:
            log.exception("delivery broke off", destination=self.destination)
            reason = f"this server is at fault: {type(error).__name__}"
            return [Failed(reason, is_of_node=False)] * len(queued)

    async def _fail(self, row: Outgoing, message: bytes, outcome: Failed) -> None:
        now_seconds = self.clock_seconds()
        log.info(
            "delivery failed",
            destination=self.destination,
            attempt=row.attempt_count + 1,
            reason=outcome.reason,
        )
        if is_overdue(row.queued_at_seconds, now_seconds, self.give_up_seconds):
            reason = explain_overdue(outcome.reason, self.give_up_seconds)
            await self._conclude(row, message, dict.fromkeys(row.envelope.recipients, reason))
        elif outcome.is_of_node:
            self._last_reason = outcome.reason
        else:
            await self._postpone(row)

    async def _divide(self, row: Outgoing, message: bytes, outcome: Delivered) -> None:
        """Let go those who have it, tell about those who never will, and try the others again."""
        refused = {name: why for name, why in outcome.refused.items() if name in row.envelope.recipients}
        later = {name: why for name, why in outcome.later.items() if name in row.envelope.recipients}
        if later and is_overdue(row.queued_at_seconds, self.clock_seconds(), self.give_up_seconds):
            refused |= {name: explain_overdue(why, self.give_up_seconds) for name, why in later.items()}
            later = {}
        if not later:
            await self._conclude(row, message, refused)
            return
        if refused:
            await self.report(row, message, refused)
        await self._postpone(row, tuple(later))

    async def _postpone(self, row: Outgoing, recipients: tuple[str, ...] = ()) -> None:
        pause = pause_after(row.attempt_count + 1, LONGEST_MESSAGE_PAUSE_SECONDS, _draw())
        await self.store.postpone_outgoing(row.id, int(self.clock_seconds() + pause) + 1, recipients)

    async def _give_up_overdue(self) -> None:
        """Conclude what has waited for too long, though it is not its turn: nobody is reached anyway."""
        now_seconds = self.clock_seconds()
        for row in await self.store.list_outgoing(self.destination, SWEPT_AT_ONCE):
            if is_overdue(row.queued_at_seconds, now_seconds, self.give_up_seconds):
                message = await self.store.read_body(row.body_id) or b""
                reason = explain_overdue(self._last_reason, self.give_up_seconds)
                await self._conclude(row, message, dict.fromkeys(row.envelope.recipients, reason))

    async def _conclude(self, row: Outgoing, message: bytes, refused: Mapping[str, str]) -> None:
        """Tell the sender first: if that is done twice after a crash, he is better off than if never."""
        if refused:
            await self.report(row, message, refused)
        await self._finish(row)

    async def _finish(self, *rows: Outgoing) -> None:
        await self.store.finish_outgoing(*(row.id for row in rows))
        self._finished_count += len(rows)
        for row in rows:
            self.on_gone(row)


async def _gather(works: Sequence[Coroutine[None, None, bool]]) -> list[bool]:
    """Do all of it at the same time; what is alone needs no task."""
    if len(works) == 1:
        return [await works[0]]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
    return [task.result() for task in tasks]


def _draw() -> float:
    return random.random()  # noqa: S311 - no secret
