"""Work off what waits for one domain.

    rows due? ── none ──▶ wait for the next one's time, or a new one
        │
        ▼ a few at once
      sent ──▶ delivered, or refused for good: the sender hears who did not get it ──▶ gone from the queue
        ├────▶ this message later
        └────▶ node not to be reached: everything later

For: outbound.py, which has one for each domain.
Not for: sending as such (transport.py), or what a failure means (retry.py).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, assert_never

import structlog

from mailnode.federation.delivery import Delivery
from mailnode.federation.retry import (
    LONGEST_MESSAGE_PAUSE_SECONDS,
    LONGEST_NODE_PAUSE_SECONDS,
    Delivered,
    Failed,
    Outcome,
    Refused,
    is_overdue,
    pause_after,
)
from mailnode.federation.siblings import Sibling, Siblings
from mailnode.store.mail_store import MailStore, Outgoing, StoreUnavailableError

AT_ONCE = 8
STORE_PAUSE_SECONDS = 5.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Sender(Protocol):
    """Whoever hands messages over; `transport.Transport` is one."""

    async def send(self, sibling: Sibling, delivery: Delivery, message: bytes) -> Outcome:
        """Try once."""


Report = Callable[[Outgoing, bytes, Mapping[str, str]], Awaitable[None]]
"""Tell the sender of a message who did not get it, and why."""


@dataclass(slots=True, kw_only=True, eq=False)
class Lane:
    """The queue of one domain. `on_gone` is called for each message that has left it."""

    destination: str
    store: MailStore
    siblings: Siblings
    sender: Sender
    report: Report
    clock_seconds: Callable[[], float]
    on_gone: Callable[[Outgoing], None]
    _woken: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _failures: int = field(init=False, default=0)

    def wake(self) -> None:
        """Look for something new. A node that cannot be reached is not asked more often by that."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._woken.clear()
            try:
                pause_seconds = await self._work()
            except StoreUnavailableError as error:
                log.warning("queue not readable", reason=str(error))
                await asyncio.sleep(STORE_PAUSE_SECONDS)
                continue
            if self._failures:
                await asyncio.sleep(pause_after(self._failures, LONGEST_NODE_PAUSE_SECONDS, _draw()))
                continue
            try:
                async with asyncio.timeout(pause_seconds):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _work(self) -> float | None:
        """Try what is due; return how long there is nothing more to do, `None` for ever."""
        rows = await self.store.list_outgoing(self.destination, AT_ONCE)
        now_seconds = self.clock_seconds()
        due = [row for row in rows if row.next_attempt_at_seconds <= now_seconds]
        if not due:
            return rows[0].next_attempt_at_seconds - now_seconds if rows else None
        async with asyncio.TaskGroup() as group:
            attempts = [group.create_task(self._attempt(row)) for row in due]
        is_reached = not all(attempt.result() for attempt in attempts)
        self._failures = 0 if is_reached else self._failures + 1
        return 0

    async def _attempt(self, row: Outgoing) -> bool:
        """Try one message; tell whether nothing else needs be tried now."""
        try:
            return await self._try(row)
        except StoreUnavailableError as error:  # it would end the whole group otherwise
            log.warning("queue not writable", reason=str(error))
            return True

    async def _try(self, row: Outgoing) -> bool:
        """Try one message; tell whether it failed because of the node."""
        message = await self.store.read_body(row.body_id)
        sibling = self.siblings.find_domain(self.destination)
        if message is None:
            log.error("queued message has no body", destination=self.destination)
            await self._finish(row)
            return False
        outcome: Outcome = Failed("no node of the fleet serves this domain now", is_of_node=True)
        if sibling is not None:
            envelope = row.envelope
            delivery = Delivery(envelope.delivery_id, envelope.sender, envelope.recipients)
            outcome = await self.sender.send(sibling, delivery, message)
        match outcome:
            case Delivered():
                named = {
                    name: why for name, why in outcome.refused.items() if name in row.envelope.recipients
                }
                await self._conclude(row, message, named)
            case Refused():
                log.warning(
                    "mail refused by another node", destination=self.destination, reason=outcome.reason
                )
                await self._conclude(row, message, dict.fromkeys(row.envelope.recipients, outcome.reason))
            case Failed():
                await self._fail(row, message, outcome)
                return outcome.is_of_node
            case _:
                assert_never(outcome)
        return False

    async def _fail(self, row: Outgoing, message: bytes, outcome: Failed) -> None:
        now_seconds = self.clock_seconds()
        log.info(
            "delivery failed",
            destination=self.destination,
            attempt=row.attempt_count + 1,
            reason=outcome.reason,
        )
        if is_overdue(row.queued_at_seconds, now_seconds):
            reason = f"not reached for two days, at last: {outcome.reason}"
            await self._conclude(row, message, dict.fromkeys(row.envelope.recipients, reason))
        elif not outcome.is_of_node:
            pause = pause_after(row.attempt_count + 1, LONGEST_MESSAGE_PAUSE_SECONDS, _draw())
            await self.store.postpone_outgoing(row.id, int(now_seconds + pause) + 1)

    async def _conclude(self, row: Outgoing, message: bytes, refused: Mapping[str, str]) -> None:
        """Tell the sender first: if that is done twice after a crash, he is better off than if never."""
        if refused:
            await self.report(row, message, refused)
        await self._finish(row)

    async def _finish(self, row: Outgoing) -> None:
        await self.store.finish_outgoing(row.id)
        self.on_gone(row)


def _draw() -> float:
    return random.random()  # noqa: S311 - no secret
