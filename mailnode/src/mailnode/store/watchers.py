"""Who wants to hear of changes of which mailbox.

For: stores, on the event loop's thread.
Not for: ordering; changes are told as they are handed in.
"""

from collections.abc import Iterable

import structlog

from mailnode.store.mail_store import MailboxChange, MailboxGone, MailboxId, Unwatch, Watcher

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Watch:
    """One watcher of one mailbox; calling it ends that. Small, because every session that waits has one."""

    __slots__ = ("_mailbox_id", "_watches", "watcher")

    def __init__(
        self, watches: "dict[MailboxId, list[_Watch]]", mailbox_id: MailboxId, watcher: Watcher
    ) -> None:
        self._watches = watches
        self._mailbox_id = mailbox_id
        self.watcher: Watcher | None = watcher

    def __call__(self) -> None:
        self.watcher = None
        watches = self._watches.get(self._mailbox_id)
        if watches is not None and self in watches:
            watches.remove(self)
            if not watches:
                del self._watches[self._mailbox_id]


class Watchers:
    """The watchers by mailbox."""

    def __init__(self) -> None:
        self._watches: dict[MailboxId, list[_Watch]] = {}

    def add(self, mailbox_id: MailboxId, watcher: Watcher) -> Unwatch:
        """Begin to tell a watcher; the returned function ends that, and may be called twice."""
        watch = _Watch(self._watches, mailbox_id, watcher)
        self._watches.setdefault(mailbox_id, []).append(watch)
        return watch

    def tell(self, changes: Iterable[tuple[MailboxId, MailboxChange]]) -> None:
        """Tell each change to whoever watches; a watcher that fails does not silence the others."""
        for mailbox_id, change in changes:
            watches = self._watches.get(mailbox_id)
            if watches is None:
                continue
            for watch in tuple(watches):
                if watch.watcher is None:
                    continue  # an earlier watcher has ended this one
                try:
                    watch.watcher(change)
                except Exception:
                    log.exception("watcher failed")
            if isinstance(change, MailboxGone):
                self._watches.pop(mailbox_id, None)
