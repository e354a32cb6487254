"""What one session knows of the mailbox that it has selected.

For: message numbers, which may change only when the client is told so (RFC 3501 sections 5.5 and 7.4.1),
while the mailbox itself changes at any time.
Not for: reading the store, or the network.

    MailStore ──change──▶ note() ─▶ pending: arrived, expunged, flags
                                        │
    client ◀─* EXPUNGE, * EXISTS, * FETCH── take_updates(), when a command ends or the client is in IDLE
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from typing import assert_never

from mailnode.imap.flags import DELETED, format_flags
from mailnode.imap.recent import RecentMarks
from mailnode.imap.sequence_set import SequenceSet, choose_indexes, choose_numbers
from mailnode.store.mail_store import (
    NO_FLAGS,
    Arrived,
    Expunged,
    Flags,
    FlagsChanged,
    Mailbox,
    MailboxChange,
    MailboxContents,
    MailboxGone,
    Message,
    Uid,
)


class MailboxView:
    """The selected mailbox as the client sees it: `messages` and `uids` in parallel, number = index + 1."""

    __slots__ = (
        "_arrived",
        "_expunged",
        "_flags",
        "_marks",
        "_recent",
        "is_gone",
        "is_read_only",
        "mailbox",
        "messages",
        "uid_next",
        "uids",
    )

    def __init__(self, mailbox: Mailbox, marks: RecentMarks, *, is_read_only: bool) -> None:
        self.mailbox = mailbox
        self.is_read_only = is_read_only
        self.is_gone = False
        self.messages: list[Message] = []
        self.uids: list[Uid] = []
        self.uid_next = 1
        self._marks = marks
        self._recent: set[Uid] = set()
        self._arrived: dict[Uid, Message] = {}
        self._expunged: set[Uid] = set()
        self._flags: dict[Uid, Flags] = {}

    def fill(self, contents: MailboxContents) -> None:
        """Begin with what the mailbox held when it was read; changes may have been noted before."""
        self.messages = list(contents.messages)
        self.uids = [message.uid for message in contents.messages]
        self.uid_next = contents.uid_next
        if self._arrived:
            self._arrived = {uid: message for uid, message in self._arrived.items() if uid >= self.uid_next}
        self._expunged.intersection_update(self.uids)
        self._mark_recent(self.uids)

    @property
    def recent_count(self) -> int:
        """How many messages are recent in this session."""
        return len(self._recent)

    @property
    def has_updates(self) -> bool:
        """Whether there is something to tell the client."""
        return bool(self._arrived or self._expunged or self._flags)

    def is_recent(self, uid: Uid) -> bool:
        """Tell whether a message is recent in this session."""
        return uid in self._recent

    def flags_of(self, uid: Uid) -> Flags:
        """Tell the flags of a message as the client knows them."""
        index = self._find(uid)
        return NO_FLAGS if index is None else self.messages[index].flags

    def choose(self, chosen: SequenceSet, *, is_uid: bool) -> list[int]:
        """Choose messages by number or UID; return their indexes. Raises: BadCommandError."""
        if is_uid:
            return choose_indexes(chosen, self.uids)
        return [number - 1 for number in choose_numbers(chosen, len(self.uids))]

    def list_deleted(self) -> list[Uid]:
        """List the messages that are marked as deleted, by the newest that is known of their flags."""
        return [
            message.uid
            for message in self.messages
            if DELETED in self._flags.get(message.uid, message.flags) and message.uid not in self._expunged
        ]

    def note(self, change: MailboxChange) -> None:
        """Take a change in, for telling the client later. What is known already is ignored."""
        match change:
            case Arrived():
                for message in change.messages:
                    if message.uid >= self.uid_next:
                        self._arrived[message.uid] = message
            case Expunged():
                self._note_expunged(change.uids)
            case FlagsChanged():
                self._flags.update(change.flags)
            case MailboxGone():
                self.is_gone = True
            case _:
                assert_never(change)

    def apply_flags(self, changed: Mapping[Uid, Flags]) -> None:
        """Take in flags that the client is being told anyway."""
        for uid, flags in changed.items():
            index = self._find(uid)
            if index is not None:
                self._change_flags(index, flags)
            if self._flags.get(uid) == flags:
                del self._flags[uid]

    def take_updates(self, *, with_expunges: bool) -> bytes:
        """Bring the client up to date: return the untagged responses, and count as they do from now on."""
        lines: list[bytes] = []
        if self._flags:
            self._take_flags(lines)
        if with_expunges and self._expunged:
            self._take_expunged(lines)
        if self._arrived:
            self._take_arrived(lines)
        return b"".join(lines)

    def _note_expunged(self, uids: Collection[Uid]) -> None:
        for uid in uids:
            if self._arrived.pop(uid, None) is not None:
                continue  # it has come and gone; the client need not know
            # Nothing is known before `fill`, which will sort out what was never there.
            if self.uid_next == 1 or self._find(uid) is not None:
                self._expunged.add(uid)

    def _find(self, uid: Uid) -> int | None:
        index = bisect_left(self.uids, uid)
        return index if index < len(self.uids) and self.uids[index] == uid else None

    def _change_flags(self, index: int, flags: Flags) -> bool:
        message = self.messages[index]
        if message.flags == flags:
            return False
        self.messages[index] = message.with_flags(flags)
        return True

    def _take_flags(self, lines: list[bytes]) -> None:
        changed, self._flags = self._flags, {}
        for uid in sorted(changed):
            arrived = self._arrived.get(uid)
            if arrived is not None:
                self._arrived[uid] = arrived.with_flags(changed[uid])
                continue
            index = self._find(uid)
            if index is not None and self._change_flags(index, changed[uid]):
                flags = format_flags(changed[uid], is_recent=uid in self._recent)
                lines.append(b"* %d FETCH (UID %d FLAGS %s)\r\n" % (index + 1, uid, flags))

    def _take_expunged(self, lines: list[bytes]) -> None:
        gone, self._expunged = self._expunged, set()
        # From the last one down, so that no number changes by what has been told before.
        lines += [
            b"* %d EXPUNGE\r\n" % (index + 1)
            for index in reversed(range(len(self.uids)))
            if self.uids[index] in gone
        ]
        self.messages = [message for message in self.messages if message.uid not in gone]
        self.uids = [uid for uid in self.uids if uid not in gone]
        self._recent -= gone

    def _take_arrived(self, lines: list[bytes]) -> None:
        uids = sorted(self._arrived)
        self.messages += map(self._arrived.__getitem__, uids)
        self._arrived.clear()
        self.uids += uids
        self.uid_next = uids[-1] + 1
        self._mark_recent(uids)
        lines.append(b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(self.uids), len(self._recent)))

    def _mark_recent(self, uids: Iterable[Uid]) -> None:
        # EXAMINE looks without claiming (RFC 3501 section 6.3.2).
        box = self.mailbox.id
        mark = self._marks.read(box) if self.is_read_only else self._marks.claim(box, self.uid_next)
        for uid in uids:
            if uid >= mark:
                self._recent.add(uid)
