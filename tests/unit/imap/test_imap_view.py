"""The view of a mailbox against a client that believes every word."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.recent import RecentMarks
from mailnode.imap.view import MailboxView
from mailnode.store.mail_store import (
    AccountId,
    Arrived,
    BodyId,
    Expunged,
    Flags,
    FlagsChanged,
    Mailbox,
    MailboxContents,
    MailboxGone,
    MailboxId,
    Message,
    Uid,
)

BOX = Mailbox(MailboxId(1), AccountId(1), "INBOX", 1)
NO_FLAGS: Flags = frozenset()
SEEN: Flags = frozenset(("\\Seen",))
DELETED: Flags = frozenset(("\\Deleted",))


def message(uid: int, flags: Flags = NO_FLAGS) -> Message:
    return Message(Uid(uid), flags, 10, 0, BodyId(uid))


def view_of(*uids: int, uid_next: int = 100) -> MailboxView:
    view = MailboxView(BOX, RecentMarks(), is_read_only=False)
    view.fill(MailboxContents(BOX, Uid(uid_next), [message(uid) for uid in uids]))
    return view


class BelievingClient:
    """Keeps what it is told: UIDs in the order of their numbers (`None` for one it does not know yet)."""

    def __init__(self, uids: list[int]) -> None:
        self.uids: list[int | None] = list(uids)
        self.flags: dict[int, bytes] = {}

    def hear(self, responses: bytes) -> None:
        for line in responses.split(b"\r\n"):
            words = line.split(b" ", 3)
            if line.endswith(b"EXPUNGE"):
                del self.uids[int(words[1]) - 1]
            elif line.endswith(b"EXISTS"):
                assert int(words[1]) > len(self.uids)
                self.uids += [None] * (int(words[1]) - len(self.uids))
            elif b" FETCH " in line:
                found = re.fullmatch(rb"\* (\d+) FETCH \(UID (\d+) FLAGS \(([^)]*)\)\)", line)
                assert found is not None
                assert self.uids[int(found[1]) - 1] in (int(found[2]), None)
                self.flags[int(found[2])] = found[3].replace(b"\\Recent", b"").strip()


steps = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "expunge", "flag", "tell", "tell all", "repeat"]), st.integers(0, 100)
    ),
    max_size=40,
)


@given(steps)
def test_client_that_believes_every_word_ends_up_with_the_mailbox(history: list[tuple[str, int]]) -> None:
    mailbox = {uid: message(uid) for uid in (1, 2, 5)}
    uid_next = 6
    view = view_of(*mailbox, uid_next=uid_next)
    client = BelievingClient(list(mailbox))
    changes: list[Arrived | Expunged | FlagsChanged] = []
    for step, choice in history:
        chosen = sorted(mailbox)[choice % len(mailbox)] if mailbox else None
        match step:
            case "arrive":
                uid_next += choice % 3
                mailbox[uid_next] = message(uid_next)
                changes.append(Arrived((mailbox[uid_next],)))
                uid_next += 1
            case "expunge" if chosen is not None:
                del mailbox[chosen]
                changes.append(Expunged(frozenset((Uid(chosen),))))
            case "flag" if chosen is not None:
                mailbox[chosen] = replace(mailbox[chosen], flags=SEEN if choice % 2 else NO_FLAGS)
                changes.append(FlagsChanged({Uid(chosen): mailbox[chosen].flags}))
            case "tell" | "tell all":
                client.hear(view.take_updates(with_expunges=step == "tell all"))
                assert [None if known is None else known for known in client.uids] == [
                    None if known is None else uid for known, uid in zip(client.uids, view.uids, strict=True)
                ]
                continue
            case _:
                if not changes:
                    continue
        view.note(changes[-1])

    client.hear(view.take_updates(with_expunges=True))
    assert view.uids == sorted(mailbox)
    assert view.messages == [mailbox[uid] for uid in sorted(mailbox)]
    assert len(client.uids) == len(mailbox)
    assert not view.has_updates


@given(steps)
def test_numbers_stay_while_expunges_may_not_be_told(history: list[tuple[str, int]]) -> None:
    view = view_of(1, 2, 5, uid_next=6)
    uid_next = 6
    for step, choice in history:
        before = list(view.uids)
        if step == "arrive":
            view.note(Arrived((message(uid_next),)))
            uid_next += 1
        elif step == "expunge":
            view.note(Expunged(frozenset((Uid(choice % uid_next),))))
        else:
            assert b"EXPUNGE" not in view.take_updates(with_expunges=False)
        assert view.uids[: len(before)] == before


def test_changes_heard_before_the_mailbox_was_read_count_once() -> None:
    view = MailboxView(BOX, RecentMarks(), is_read_only=False)
    view.note(Arrived((message(3),)))
    view.note(Expunged(frozenset((Uid(1), Uid(7)))))
    view.note(Arrived((message(4),)))
    view.fill(MailboxContents(BOX, Uid(4), [message(1), message(3)]))

    assert view.take_updates(with_expunges=True) == b"* 1 EXPUNGE\r\n* 2 EXISTS\r\n* 2 RECENT\r\n"
    assert view.uids == [3, 4]


def test_own_change_of_flags_is_not_told_again() -> None:
    view = view_of(1, 2)
    view.note(FlagsChanged({Uid(1): SEEN}))
    view.apply_flags({Uid(1): SEEN, Uid(2): SEEN, Uid(9): SEEN})
    view.note(FlagsChanged({Uid(2): SEEN}))

    assert view.take_updates(with_expunges=True) == b""
    assert [message.flags for message in view.messages] == [SEEN, SEEN]


def test_newest_flags_decide_what_is_deleted() -> None:
    view = view_of(1, 2, 3)
    view.apply_flags({Uid(1): DELETED, Uid(3): DELETED})
    view.note(FlagsChanged({Uid(1): NO_FLAGS, Uid(2): DELETED}))
    view.note(Expunged(frozenset((Uid(3),))))

    assert view.list_deleted() == [2]


def test_flags_of_an_arrival_that_was_not_told_yet_are_its_first_flags() -> None:
    view = view_of(uid_next=1)
    view.note(Arrived((message(1),)))
    view.note(FlagsChanged({Uid(1): SEEN}))

    assert view.take_updates(with_expunges=True) == b"* 1 EXISTS\r\n* 1 RECENT\r\n"
    assert view.messages[0].flags == SEEN


def test_end_of_the_mailbox_is_noted() -> None:
    view = view_of(1)
    view.note(MailboxGone())

    assert view.is_gone


def test_recent_marks_forget_the_mailbox_used_longest_ago() -> None:
    marks = RecentMarks(max_mailboxes=2)
    for box in (1, 2, 1, 3):
        marks.claim(MailboxId(box), 10)

    assert [marks.read(MailboxId(box)) for box in (1, 2, 3)] == [10, 1, 10]
    assert marks.claim(MailboxId(1), 5) == 10
    assert marks.read(MailboxId(1)) == 10
