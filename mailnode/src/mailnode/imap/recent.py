r"""Remember which messages some session has been told of already: the others are `\Recent`.

For: RFC 3501 section 2.3.2, by which a message is recent in exactly one session.
Not for: keeping that over a restart. Where it is not known, a message counts as recent, as the RFC advises.
"""

from mailnode.store.mail_store import MailboxId

MAX_MAILBOXES = 65_536


class RecentMarks:
    """For each mailbox in use, the UID from which on messages are recent."""

    __slots__ = ("_marks", "_max_mailboxes")

    def __init__(self, max_mailboxes: int = MAX_MAILBOXES) -> None:
        self._marks: dict[MailboxId, int] = {}
        self._max_mailboxes = max_mailboxes

    def read(self, mailbox_id: MailboxId) -> int:
        """Tell from which UID on messages are recent."""
        return self._marks.get(mailbox_id, 1)

    def claim(self, mailbox_id: MailboxId, uid_next: int) -> int:
        """Make everything below `uid_next` recent for the caller only; return what `read` said before."""
        mark = self._marks.pop(mailbox_id, 1)  # popped, so that the mailboxes used last come last
        self._marks[mailbox_id] = max(mark, uid_next)
        if len(self._marks) > self._max_mailboxes:
            del self._marks[next(iter(self._marks))]
        return mark
