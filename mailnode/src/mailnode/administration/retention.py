"""Let go what the policy says is too old: messages, and accounts that nobody uses.

    every hour ──▶ each account in turn ──▶ old messages go; nobody logged in for too long? ──▶ it goes

For: the daemon. A change of the policy is seen in the next round at the latest.
Not for: deciding the policy (accounts.policy).
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import structlog

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.policy import Policy
from mailnode.administration.purge import SEEN, IsGoing, Purge
from mailnode.store.mail_store import Account, Message, StoreUnavailableError, UnknownAccountError
from nodelink.daemon.tasks import open_task_group

ROUND_SECONDS = 3600.0
SECONDS_PER_DAY = 86_400
LARGE_MESSAGE_BYTES = 200_000
LOGIN_MARGIN_SECONDS = 2 * SECONDS_PER_DAY
"""The last login is exact to a day, and may be written a while after it."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retention:
    """What looks for old things."""

    accounts: Accounts
    purge: Purge
    clock_seconds: Callable[[], float] = time.time
    round_seconds: float = ROUND_SECONDS

    async def start(self, stack: AsyncExitStack) -> None:
        """Look now, and again and again until the stack unwinds."""
        spawn = await open_task_group(stack)
        spawn(self._keep_looking())

    async def look(self) -> tuple[int, int]:
        """Go through all accounts once; return how many messages and accounts went."""
        policy = self.accounts.policy.current
        if not (
            policy.message_retention_days or policy.unused_account_days or policy.large_message_retention_days
        ):
            return 0, 0
        messages = accounts = 0
        async for account in self.purge.walk_accounts():
            policy, now_seconds = self.accounts.policy.current, int(self.clock_seconds())
            if policy.unused_account_days and self._is_unused(
                account, now_seconds, policy.unused_account_days
            ):
                with suppress(UnknownAccountError):
                    await self.accounts.remove(account.address)
                    accounts += 1
            else:
                messages += await self.purge.purge_account(account, decide_by_policy(policy, now_seconds))
        if messages or accounts:
            log.info("old mail let go", messages=messages, accounts=accounts)
        return messages, accounts

    def _is_unused(self, account: Account, now_seconds: int, days: int) -> bool:
        """Tell whether nobody uses an account; one of a blocked address is kept, so that it stays taken."""
        if account.is_banned:
            return False
        if self.accounts.has_sessions(account.id):
            self.accounts.store.record_login(account.id, now_seconds)  # apps stay logged in for weeks
            return False
        used_at_seconds = max(account.created_at_seconds, account.last_login_at_seconds or 0)
        return used_at_seconds + LOGIN_MARGIN_SECONDS + days * SECONDS_PER_DAY < now_seconds

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.look()
            except StoreUnavailableError as error:
                log.warning("old mail not let go", reason=str(error))
            await asyncio.sleep(self.round_seconds)


def decide_by_policy(policy: Policy, now_seconds: int) -> IsGoing:
    """Decide which messages are too old: all after a time, and large ones that were read after another."""
    before = _begin(policy.message_retention_days, now_seconds)
    large_before = _begin(policy.large_message_retention_days, now_seconds)

    def is_going(message: Message) -> bool:
        if message.received_at_seconds < before:
            return True
        is_large = message.size_bytes > LARGE_MESSAGE_BYTES
        return is_large and SEEN in message.flags and message.received_at_seconds < large_before

    return is_going


def _begin(days: int, now_seconds: int) -> int:
    """Tell before when messages are too old; 0 days are never."""
    return now_seconds - days * SECONDS_PER_DAY if days else 0
