"""Work off the notifications that deliveries have queued.

    delivery ─▶ queue, in its own transaction ─▶ wake ─▶ first attempts: FIRST_AT_ONCE at a time
                                                     └─▶ later ones: RETRIES_AT_ONCE

    off       nothing is queued, and what waits is let go: apps find their mail when they are opened
    pausing   PUSH_FAILURES_BEFORE_PAUSE in a row: what waits is kept, and tried again an hour later

For: the daemon. A delivery never waits for it, and what is queued survives a restart.
Not for: what the proxy is told (proxy.py).

Later attempts have a lane of their own, so that a proxy that hangs for some tokens does not hold up the
others.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from mailnode.push.retry import Outcome, find_next_attempt
from mailnode.store.mail_store import StoreUnavailableError
from mailnode.store.notification_queue import Notification, NotificationId, NotificationQueue
from nodelink.contract.states import PUSH_FAILURES_BEFORE_PAUSE
from nodelink.daemon.tasks import Spawn, open_task_group

FIRST_AT_ONCE = 4
RETRIES_AT_ONCE = 2
STORE_PAUSE_SECONDS = 5.0
LONGEST_SLEEP_SECONDS = 600.0
PAUSE_SECONDS = 3600.0
LET_GO_AT_ONCE = 100

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PushRules:
    """Whether apps are woken, and whether that pauses while the proxy fails."""

    is_enabled: bool = True
    pauses: bool = False


class Proxy(Protocol):
    """Where tokens go."""

    async def send(self, token: str) -> Outcome:
        """Try once."""

    async def close(self) -> None:
        """Close all connections."""


@dataclass(slots=True, kw_only=True)
class Pusher:
    """Hands tokens to a proxy. It does nothing until it is started."""

    queue: NotificationQueue
    proxy: Proxy
    clock_seconds: Callable[[], float] = time.time
    pushed_count: int = field(init=False, default=0)
    failures_in_a_row: int = field(init=False, default=0)
    _rules: PushRules = field(init=False, default_factory=PushRules)
    _paused_until_seconds: float = field(init=False, default=0)
    _unwatch: Callable[[], None] | None = field(init=False, default=None)
    _woken: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _at_work: dict[bool, set[NotificationId]] = field(init=False, default_factory=dict)

    async def start(self, stack: AsyncExitStack) -> None:
        """Work until the stack unwinds; what waits then is still there at the next start."""
        self._at_work = {False: set(), True: set()}
        stack.push_async_callback(self.proxy.close)
        stack.callback(self._stop_watching)
        self._watch()
        spawn = await open_task_group(stack)
        spawn(self._work(spawn))

    def put_in_force(self, rules: PushRules) -> None:
        """Follow other rules from now on; a pause ends where there is none any more."""
        if rules == self._rules:
            return
        self._rules, self._paused_until_seconds = rules, 0
        if rules.is_enabled:
            self._watch()
        else:
            self._stop_watching()
        self._woken.set()

    def _watch(self) -> None:
        if self._unwatch is None:
            self._unwatch = self.queue.watch_notifications(self._woken.set)
        self._woken.set()

    def _stop_watching(self) -> None:
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    async def _work(self, spawn: Spawn) -> None:
        while True:
            self._woken.clear()
            try:
                pause_seconds = await self._do_what_is_due(spawn)
            except StoreUnavailableError as error:
                log.warning("notifications cannot be read", problem=str(error))
                pause_seconds = STORE_PAUSE_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._woken.wait()

    async def _do_what_is_due(self, spawn: Spawn) -> float:
        """Do what the rules say; return after how many seconds there may be more to do."""
        if not self._rules.is_enabled:
            return await self._let_go()
        paused_seconds = self._paused_until_seconds - self.clock_seconds()
        if paused_seconds > 0:
            return min(paused_seconds, LONGEST_SLEEP_SECONDS)
        return min([await self._begin_due(spawn, is_retry=each) for each in (False, True)])

    async def _let_go(self) -> float:
        waiting = [
            each
            for is_retry in (False, True)
            for each in await self.queue.list_notifications(LET_GO_AT_ONCE, is_retry=is_retry)
        ]
        for each in waiting:
            await self.queue.finish_notification(each)
        return 0 if waiting else LONGEST_SLEEP_SECONDS

    async def _begin_due(self, spawn: Spawn, *, is_retry: bool) -> float:
        """Begin with what is due in a lane; return after how many seconds there may be more to do."""
        at_work = self._at_work[is_retry]
        room = (RETRIES_AT_ONCE if is_retry else FIRST_AT_ONCE) - len(at_work)
        if not room:
            return LONGEST_SLEEP_SECONDS  # whoever ends wakes us
        now_seconds = self.clock_seconds()
        listed = await self.queue.list_notifications(room + len(at_work), is_retry=is_retry)
        for each in listed:
            if each.id in at_work:
                continue
            if each.next_attempt_at_seconds > now_seconds:
                return min(each.next_attempt_at_seconds - now_seconds, LONGEST_SLEEP_SECONDS)
            if len(at_work) < (RETRIES_AT_ONCE if is_retry else FIRST_AT_ONCE):
                at_work.add(each.id)
                spawn(self._attempt(each, at_work))
        return LONGEST_SLEEP_SECONDS

    async def _attempt(self, notification: Notification, at_work: set[NotificationId]) -> None:
        """Try once, and write down what came of it."""
        try:
            outcome = await self.proxy.send(notification.token)
            await self._settle(notification, outcome)
        except StoreUnavailableError as error:
            # It is still queued, and tried again: an app that is woken twice finds nothing, and sleeps again.
            log.warning("notification cannot be settled", problem=str(error))
            await asyncio.sleep(STORE_PAUSE_SECONDS)
        finally:
            at_work.discard(notification.id)
            self._woken.set()

    async def _settle(self, notification: Notification, outcome: Outcome) -> None:
        self._count(outcome)
        if outcome is Outcome.GONE:
            await self.queue.remove_device_token(notification)
            return
        if outcome is Outcome.DONE:
            self.pushed_count += 1
            await self.queue.finish_notification(notification)
            return
        next_attempt_at_seconds = find_next_attempt(
            notification.queued_at_seconds, notification.attempt_count + 1, int(self.clock_seconds())
        )
        if next_attempt_at_seconds is None:
            await self.queue.finish_notification(notification)
        else:
            await self.queue.postpone_notification(notification, next_attempt_at_seconds)

    def _count(self, outcome: Outcome) -> None:
        """Count failures in a row, and pause when there are too many of them."""
        if outcome is not Outcome.FAILED:
            self.failures_in_a_row = 0
            return
        self.failures_in_a_row += 1
        if self._rules.pauses and self.failures_in_a_row >= PUSH_FAILURES_BEFORE_PAUSE:
            self._paused_until_seconds = self.clock_seconds() + PAUSE_SECONDS
            log.warning("notifications pause", failures=self.failures_in_a_row, seconds=PAUSE_SECONDS)
