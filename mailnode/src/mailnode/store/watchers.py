"""Who wants to hear of changes of which mailbox.

For: stores, on the event loop's thread.
Not for: ordering; changes are told as they are handed in.
"""

from collections.abc import Iterable

import structlog

from mailnode.store.mail_store import MailboxChange, MailboxGone, MailboxId, Unwatch, Watcher

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Watchers:
    """The watchers by mailbox."""

    def __init__(self) -> None:
        self._watchers: dict[MailboxId, dict[object, Watcher]] = {}

    def add(self, mailbox_id: MailboxId, watcher: Watcher) -> Unwatch:
        """Begin to tell a watcher; the returned function ends that, and may be called twice."""
        token = object()
        self._watchers.setdefault(mailbox_id, {})[token] = watcher

        def remove() -> None:
            watchers = self._watchers.get(mailbox_id)
            if watchers is not None and watchers.pop(token, None) is not None and not watchers:
                del self._watchers[mailbox_id]

        return remove

    def tell(self, changes: Iterable[tuple[MailboxId, MailboxChange]]) -> None:
        """Tell each change to whoever watches; a watcher that fails does not silence the others."""
        for mailbox_id, change in changes:
            watchers = self._watchers.get(mailbox_id)
            if watchers is None:
                continue
            for token, watcher in tuple(watchers.items()):
                if token not in watchers:
                    continue  # an earlier watcher has ended this one
                try:
                    watcher(change)
                except Exception:
                    log.exception("watcher failed")
            if isinstance(change, MailboxGone):
                self._watchers.pop(mailbox_id, None)
