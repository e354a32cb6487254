"""What is known of mailboxes in memory is what the database would tell."""

import pytest

from mailnode.store.contents_cache import ContentsCache
from mailnode.store.mail_store import (
    NO_FLAGS,
    AccountId,
    Arrived,
    BodyId,
    Expunged,
    FlagsChanged,
    Mailbox,
    MailboxContents,
    MailboxGone,
    MailboxId,
    Message,
    Uid,
)

SEEN = frozenset({"\\Seen"})


def make_contents(mailbox_id: int = 1, uids: range = range(1, 3), name: str = "INBOX") -> MailboxContents:
    mailbox = Mailbox(MailboxId(mailbox_id), AccountId(mailbox_id + 100), name, 7)
    return MailboxContents(mailbox, Uid(uids.stop), tuple(map(make_message, uids)))


def make_message(uid: int) -> Message:
    return Message(Uid(uid), NO_FLAGS, 10, 5, BodyId(uid))


def uids_of(cache: ContentsCache, mailbox_id: int = 1) -> list[int] | None:
    contents = cache.get(MailboxId(mailbox_id))
    return None if contents is None else [message.uid for message in contents.messages]


def test_changes_are_followed_in_their_order() -> None:
    cache = ContentsCache()
    cache.put(make_contents())
    inbox = MailboxId(1)

    cache.follow(
        [
            (inbox, Arrived((make_message(3), make_message(4)))),
            (inbox, FlagsChanged({Uid(3): SEEN, Uid(99): SEEN})),
            (inbox, Expunged(frozenset({Uid(1), Uid(4)}))),
            (MailboxId(2), Expunged(frozenset({Uid(2)}))),
        ]
    )

    contents = cache.get(inbox)
    assert contents is not None
    assert [(message.uid, message.flags) for message in contents.messages] == [(2, NO_FLAGS), (3, SEEN)]
    assert contents.uid_next == 5


def test_change_that_was_read_already_changes_nothing() -> None:
    cache = ContentsCache()
    cache.put(make_contents(uids=range(1, 4)))
    before = cache.get(MailboxId(1))

    cache.follow(
        [
            (MailboxId(1), Arrived((make_message(2), make_message(3)))),
            (MailboxId(1), Expunged(frozenset({Uid(9)}))),
        ]
    )

    assert cache.get(MailboxId(1)) == before


def test_mailbox_that_is_gone_is_forgotten_under_its_name_too() -> None:
    cache = ContentsCache()
    contents = make_contents()
    cache.put(contents)
    assert cache.find(AccountId(101), "INBOX") == contents.mailbox

    cache.follow([(MailboxId(1), MailboxGone())])

    assert cache.get(MailboxId(1)) is None
    assert cache.find(AccountId(101), "INBOX") is None


@pytest.mark.parametrize(("count", "is_kept"), [(3, True), (4, True), (5, False)])
def test_long_mailbox_is_not_kept(count: int, *, is_kept: bool) -> None:
    cache = ContentsCache(max_messages=4)
    cache.put(make_contents(1, range(1, count + 1)))
    cache.put(make_contents(2, range(1, 2)))

    cache.follow([(MailboxId(2), Arrived(tuple(make_message(uid) for uid in range(1, count + 1))))])

    assert (uids_of(cache, 1) is not None) is is_kept
    assert (uids_of(cache, 2) is not None) is is_kept


@pytest.mark.parametrize(("count", "first"), [(2, [1, 2]), (3, [1, 2]), (4, None)])
def test_mailbox_that_was_not_used_for_longest_makes_room(count: int, first: list[int] | None) -> None:
    cache = ContentsCache(max_mailboxes=3)
    for mailbox_id in range(1, count + 1):
        cache.put(make_contents(mailbox_id))

    assert uids_of(cache, 1) == first
    assert uids_of(cache, count) == [1, 2]


def test_use_keeps_a_mailbox() -> None:
    cache = ContentsCache(max_mailboxes=2)
    for mailbox_id in (1, 2):
        cache.put(make_contents(mailbox_id))
    cache.get(MailboxId(1))
    cache.put(make_contents(3))

    assert uids_of(cache, 1) == [1, 2]
    assert uids_of(cache, 2) is None
