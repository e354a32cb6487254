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
from mailnode.administration.purge import Purge, decide
from mailnode.store.mail_store import Account, StoreUnavailableError, UnknownAccountError
from nodelink.contract.accounts import PurgeMail, PurgeWhat
from nodelink.daemon.tasks import open_task_group

ROUND_SECONDS = 3600.0
SECONDS_PER_DAY = 86_400
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
        if not policy.message_retention_days and not policy.unused_account_days:
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
            elif policy.message_retention_days:
                before_seconds = now_seconds - policy.message_retention_days * SECONDS_PER_DAY
                order = PurgeMail(address=None, what=PurgeWhat.OLDER, before_seconds=before_seconds)
                messages += await self.purge.purge_account(account, decide(order))
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
