"""What a store promises about notifications, which wake sleeping apps, also after a restart of the node.

For: push, which works the queue off.
Not for: SQL (sqlite_notifications.py), or when something is tried again (push.retry).

A delivery queues one notification for each fresh token of each account that got it, in its own transaction,
so that it costs no wait for the disk. One token waits once, however much mail has come: an app that wakes
fetches all of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NewType, Protocol

from mailnode.store.mail_store import AccountId

NotificationId = NewType("NotificationId", int)

TOKEN_FRESH_SECONDS = 90 * 86_400
"""An app hands its token in whenever it connects; one that has not done so for that long is gone."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A token that waits to be handed to the notification proxy. Times are Unix seconds.

    `serial` grows when more mail comes meanwhile, `attempt_count` with each attempt that failed.
    """

    id: NotificationId
    account_id: AccountId
    token: str
    serial: int
    queued_at_seconds: int
    attempt_count: int
    next_attempt_at_seconds: int


class NotificationQueue(Protocol):
    """A store that keeps notifications. Any method may raise `StoreUnavailableError`."""

    def watch_notifications(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Queue notifications from now on and call `wake` after each; the returned function ends both."""

    async def list_notifications(self, limit: int, *, is_retry: bool) -> Sequence[Notification]:
        """List what has failed before, or what has not, in the order in which it is due."""

    async def count_notifications(self) -> int:
        """Count what waits."""

    async def postpone_notification(self, notification: Notification, next_attempt_at_seconds: int) -> None:
        """Count an attempt that failed, and say when the next one is due."""

    async def finish_notification(self, notification: Notification) -> None:
        """Let go what has been handed over or given up, unless more mail has come since it was listed."""

    async def remove_device_token(self, notification: Notification) -> None:
        """Forget a token that the proxy does not know any more, with what waits for it."""
