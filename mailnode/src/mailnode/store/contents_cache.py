"""What the mailboxes in use hold, in memory: a client selects its mailbox anew after each message.

    read ─▶ put ─▶ kept up to date by every change that is committed ─▶ found, without a statement
                       └─ gone, renamed, grown long, or not used for long ─▶ dropped, and read anew

For: sqlite_store.py, on the event loop's thread. What is put in may be one commit ahead of the changes that
are told: each of them leaves what it has already brought about as it is.
Not for: long mailboxes; each change would copy them.
"""

from collections.abc import Iterable
from typing import assert_never

from mailnode.store.mail_store import (
    AccountId,
    Arrived,
    Expunged,
    FlagsChanged,
    Mailbox,
    MailboxChange,
    MailboxContents,
    MailboxGone,
    MailboxId,
    Uid,
)

MAX_MAILBOXES = 2_048
MAX_MESSAGES = 64
"""A mailbox with more messages is read from the database each time."""


class ContentsCache:
    """Keeps what so many mailboxes hold, those that were used last."""

    def __init__(self, max_mailboxes: int = MAX_MAILBOXES, max_messages: int = MAX_MESSAGES) -> None:
        self._max_mailboxes = max_mailboxes
        self._max_messages = max_messages
        self._contents: dict[MailboxId, MailboxContents] = {}
        self._by_name: dict[tuple[AccountId, str], MailboxId] = {}

    def put(self, contents: MailboxContents) -> None:
        """Keep what a mailbox holds by now; the one that was not used for longest makes room."""
        mailbox = contents.mailbox
        self.drop(mailbox.id)
        if len(contents.messages) > self._max_messages:
            return
        if len(self._contents) >= self._max_mailboxes:
            self.drop(next(iter(self._contents)))
        self._contents[mailbox.id] = contents
        self._by_name[mailbox.account_id, mailbox.name] = mailbox.id

    def get(self, mailbox_id: MailboxId) -> MailboxContents | None:
        """Look up what a mailbox holds."""
        contents = self._contents.pop(mailbox_id, None)
        if contents is not None:
            self._contents[mailbox_id] = contents  # the youngest again
        return contents

    def find(self, account_id: AccountId, name: str) -> Mailbox | None:
        """Look a mailbox up by its name; `None` where that is not known here."""
        mailbox_id = self._by_name.get((account_id, name))
        return None if mailbox_id is None else self._contents[mailbox_id].mailbox

    def drop(self, mailbox_id: MailboxId) -> None:
        """Forget a mailbox; it is no matter whether it is here."""
        contents = self._contents.pop(mailbox_id, None)
        if contents is not None:
            del self._by_name[contents.mailbox.account_id, contents.mailbox.name]

    def follow(self, changes: Iterable[tuple[MailboxId, MailboxChange]]) -> None:
        """Take changes in, in their order."""
        for mailbox_id, change in changes:
            contents = self._contents.get(mailbox_id)
            if contents is None:
                continue
            changed = _apply(contents, change)
            if changed is None or len(changed.messages) > self._max_messages:
                self.drop(mailbox_id)
            else:
                self._contents[mailbox_id] = changed


def _apply(contents: MailboxContents, change: MailboxChange) -> MailboxContents | None:
    """Say what a mailbox holds after a change; `None` when it is gone."""
    match change:
        case Arrived():
            new = [message for message in change.messages if message.uid >= contents.uid_next]
            if not new:
                return contents
            return MailboxContents(contents.mailbox, Uid(new[-1].uid + 1), (*contents.messages, *new))
        case FlagsChanged():
            messages = tuple(
                message.with_flags(change.flags[message.uid]) if message.uid in change.flags else message
                for message in contents.messages
            )
        case Expunged():
            messages = tuple(message for message in contents.messages if message.uid not in change.uids)
        case MailboxGone():
            return None
        case _:
            assert_never(change)
    return MailboxContents(contents.mailbox, contents.uid_next, messages)
