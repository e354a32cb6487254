"""The SQLite store against the store in memory: any run of operations has the same results in both."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mailnode.store.headers import measure_header
from mailnode.store.mail_store import (
    AccountId,
    Envelope,
    FlagMode,
    MailboxId,
    MailStore,
    MailStoreError,
    Recipient,
    Uid,
)
from mailnode.store.sqlite_store import SqliteMailStore
from support.store_memory import MemoryMailStore

names = st.sampled_from(["A", "B", "A/B", "INBOX"])
some_uids = st.lists(st.integers(1, 12).map(Uid), max_size=5)
some_flags = st.frozensets(st.sampled_from(["\\Seen", "\\Deleted", "key", "Key"]), max_size=3)
bodies = st.builds(
    lambda text, times: text * times,
    st.sampled_from([b"A: b\r\n\r\ntext", b"\r\n", b"no end", b"\x00\n\n"]),
    st.sampled_from([1, 2, 40, 30_000]),
)
quotas = st.sampled_from([0, 30, 500, 400_000, 1 << 40])
picks = st.integers(0, 5)


class StoreMachine(RuleBasedStateMachine):
    """Both stores get the same calls; ids differ, so each side has its own list of them."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.stack = AsyncExitStack()
        self.sqlite = SqliteMailStore(Path(self.directory.name))
        self.memory = MemoryMailStore()
        self.stores: tuple[MailStore, MailStore] = (self.memory, self.sqlite)
        self.accounts: list[tuple[AccountId, AccountId]] = []
        self.mailboxes: list[tuple[MailboxId, MailboxId]] = []
        self.now = 5

    @initialize()
    def open(self) -> None:
        self.runner.run(self.sqlite.start(self.stack))
        for _ in range(2):
            self.add_account()

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.directory.cleanup()

    def both(self, method: str, *arguments: tuple[object, object], **named: object) -> list[object]:
        """Call a method of both stores; `arguments` are (for memory, for SQLite)."""
        results: list[object] = []
        for side, store in enumerate(self.stores):
            mine = [pair[side] for pair in arguments]
            try:
                results.append(self.runner.run(getattr(store, method)(*mine, **named)))
            except MailStoreError as error:
                results.append(type(error))
        return results

    def same(self, method: str, *arguments: tuple[object, object], **named: object) -> None:
        in_memory, in_sqlite = self.both(method, *arguments, **named)
        assert in_memory == in_sqlite, (method, arguments)

    @rule()
    @precondition(lambda self: len(self.accounts) < 4)
    def add_account(self) -> None:
        address = f"u{len(self.accounts)}@example.org"
        results = self.both("add_account", (address, address), ("hash", "hash"), (1, 1))
        in_memory, in_sqlite = (getattr(result, "id", None) for result in results)
        if in_memory is None or in_sqlite is None:
            assert in_memory == in_sqlite
            return
        self.accounts.append((AccountId(in_memory), AccountId(in_sqlite)))
        inboxes = self.both("find_mailbox", self.accounts[-1], ("INBOX", "INBOX"))
        first, second = (getattr(inbox, "id", None) for inbox in inboxes)
        assert first is not None
        assert second is not None
        self.mailboxes.append((MailboxId(first), MailboxId(second)))

    @rule(who=picks, name=names)
    def create_mailbox(self, who: int, name: str) -> None:
        results = self.both("create_mailbox", self.account(who), (name, name))
        first, second = (getattr(result, "id", None) for result in results)
        if first is None or second is None:
            assert results[0] == results[1]
        else:
            self.mailboxes.append((MailboxId(first), MailboxId(second)))

    @rule(which=picks, name=names)
    def rename_mailbox(self, which: int, name: str) -> None:
        self.same("rename_mailbox", self.mailbox(which), (name, name))

    @rule(which=picks)
    def remove_mailbox(self, which: int) -> None:
        self.same("remove_mailbox", self.mailbox(which))

    @rule(who=picks)
    @precondition(lambda self: len(self.accounts) > 1)
    def remove_account(self, who: int) -> None:
        self.same("remove_account", self.account(who))

    @rule(whom=st.lists(st.tuples(picks, quotas), max_size=3), body=bodies)
    def deliver(self, whom: list[tuple[int, int]], body: bytes) -> None:
        sides = [[Recipient(self.account(who)[side], quota) for who, quota in whom] for side in (0, 1)]
        in_memory, in_sqlite = self.both("deliver", (sides[0], sides[1]), (body, body), (5, 5))
        assert isinstance(in_memory, frozenset)
        assert isinstance(in_sqlite, frozenset)
        translate = dict(self.accounts)
        assert {translate[account_id] for account_id in in_memory} == in_sqlite

    @rule(whom=st.lists(st.tuples(picks, quotas), max_size=2), body=bodies, count=st.integers(1, 3))
    def deliver_and_queue(self, whom: list[tuple[int, int]], body: bytes, count: int) -> None:
        sides = [[Recipient(self.account(who)[side], quota) for who, quota in whom] for side in (0, 1)]
        envelopes = [Envelope(f"id{number}", "two.example", "a@b", ("c@d",)) for number in range(count)]
        self.both("deliver", (sides[0], sides[1]), (body, body), (5, 5), (envelopes, envelopes))
        self.same("read_outgoing_usage")

    @rule(pick=picks, is_done=st.booleans())
    def work_off(self, pick: int, is_done: bool) -> None:
        queues = self.both("list_outgoing", ("two.example", "two.example"), (9, 9))
        first, second = ([getattr(row, "id") for row in rows] for rows in queues if isinstance(rows, list))  # noqa: B009 - of either store
        if len(first) > pick:
            ids = first[pick], second[pick]
            if is_done:
                self.both("finish_outgoing", ids)
            else:
                self.both("postpone_outgoing", ids, (pick, pick))
        self.same("read_outgoing_usage")

    @rule(who=picks, quota=quotas, body=bodies, name=st.sampled_from(["x", "y"]), now=st.integers(5, 600_000))
    def deliver_once(self, who: int, quota: int, body: bytes, name: str, now: int) -> None:
        sides = [[Recipient(self.account(who)[side], quota)] for side in (0, 1)]
        now = self.now = max(now, self.now)
        in_memory, in_sqlite = self.both(
            "deliver_once", (name, name), (sides[0], sides[1]), (body, body), (now, now)
        )
        assert isinstance(in_memory, frozenset)
        assert isinstance(in_sqlite, frozenset)
        assert len(in_memory) == len(in_sqlite)

    @rule(which=picks, quota=quotas, body=bodies, flags=some_flags)
    def append(self, which: int, quota: int, body: bytes, flags: frozenset[str]) -> None:
        results = self.both(
            "append", self.mailbox(which), (quota, quota), (body, body), (flags, flags), (7, 7)
        )
        assert getattr(results[0], "uid", results[0]) == getattr(results[1], "uid", results[1])

    @rule(source=picks, uids=some_uids, destination=picks, quota=quotas)
    def copy(self, source: int, uids: list[Uid], destination: int, quota: int) -> None:
        boxes = (self.mailbox(source), (uids, uids), self.mailbox(destination))
        self.same("copy_messages", *boxes, (quota, quota))

    @rule(source=picks, uids=some_uids, destination=picks)
    def move(self, source: int, uids: list[Uid], destination: int) -> None:
        self.same("move_messages", self.mailbox(source), (uids, uids), self.mailbox(destination))

    @rule(which=picks, uids=some_uids, mode=st.sampled_from(FlagMode), flags=some_flags)
    def change_flags(self, which: int, uids: list[Uid], mode: FlagMode, flags: frozenset[str]) -> None:
        self.same("change_flags", self.mailbox(which), (uids, uids), (mode, mode), (flags, flags))

    @rule(which=picks, uids=some_uids)
    def expunge(self, which: int, uids: list[Uid]) -> None:
        self.same("expunge", self.mailbox(which), (uids, uids))

    @invariant()
    def accounts_hold_the_same(self) -> None:
        for pair in self.accounts:
            self.same("read_usage", pair)

    @invariant()
    def mailboxes_hold_the_same(self) -> None:
        for pair in self.mailboxes:
            self.same("read_status", pair)
            assert self.snapshot(0, pair) == self.snapshot(1, pair)

    def snapshot(self, side: int, pair: tuple[MailboxId, MailboxId]) -> object:
        store = self.stores[side]

        async def read() -> object:
            try:
                contents = await store.read_contents(pair[side])
            except MailStoreError as error:
                return type(error)
            bodies = [await store.read_body(message.body_id) for message in contents.messages]
            headers = [await store.read_header(message.body_id) for message in contents.messages]
            assert headers == [body and body[: measure_header(body)] for body in bodies]
            rows = [
                (message.uid, message.flags, message.size_bytes, message.received_at_seconds)
                for message in contents.messages
            ]
            return contents.mailbox.name, contents.uid_next, rows, bodies

        return self.runner.run(read())

    def account(self, pick: int) -> tuple[AccountId, AccountId]:
        return self.accounts[pick % len(self.accounts)]

    def mailbox(self, pick: int) -> tuple[MailboxId, MailboxId]:
        return self.mailboxes[-1 - pick % len(self.mailboxes)]


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
