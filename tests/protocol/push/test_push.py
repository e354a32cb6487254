"""Sleeping apps are woken: by real deliveries into a real store, through a real HTTP receiver."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailnode.push.proxy import NotificationProxy
from mailnode.push.pusher import (
    FIRST_AT_ONCE,
    PAUSE_SECONDS,
    RETRIES_AT_ONCE,
    Pusher,
    PushRules,
)
from mailnode.store.mail_store import Account, Recipient
from mailnode.store.notification_queue import TOKEN_FRESH_SECONDS
from mailnode.store.sqlite_store import SqliteMailStore
from nodelink.contract.states import PUSH_FAILURES_BEFORE_PAUSE
from support.push_proxy import PushProxy, open_push_proxy

pytestmark = pytest.mark.anyio

NOW = 1_700_000_000
QUOTA = 1 << 20


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def open_store(directory: Path) -> AsyncIterator[SqliteMailStore]:
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(directory)
        await store.start(stack)
        yield store


@asynccontextmanager
async def pushing(store: SqliteMailStore, proxy: PushProxy, clock: Clock) -> AsyncIterator[Pusher]:
    async with AsyncExitStack() as stack:
        pusher = Pusher(queue=store, proxy=NotificationProxy(proxy.url), clock_seconds=clock)
        await pusher.start(stack)
        yield pusher


async def make_account(store: SqliteMailStore, name: str, *tokens: str, age: int = 0) -> Account:
    account = await store.add_account(f"{name}@example.org", "hash", NOW)
    for token in tokens:
        await store.add_device_token(account.id, token, NOW - age)
    return account


async def deliver(store: SqliteMailStore, *accounts: Account, sender: Account | None = None) -> None:
    recipients = [Recipient(each.id, QUOTA, is_sender=each == sender) for each in accounts]
    await store.deliver(recipients, b"Subject: x\r\n\r\nx", NOW)


async def wait_until_empty(store: SqliteMailStore) -> None:
    async with asyncio.timeout(10):
        while await store.count_notifications():  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)


async def test_each_token_of_each_recipient_is_pushed_once(tmp_path: Path) -> None:
    async with (
        open_store(tmp_path) as store,
        open_push_proxy() as proxy,
        pushing(store, proxy, Clock()) as pusher,
    ):
        alice = await make_account(store, "alice", "a1", "a2")
        bob = await make_account(store, "bob", "b1")
        await deliver(store, alice, bob)
        await proxy.wait_for(3)
        await wait_until_empty(store)

        assert sorted(proxy.tokens) == ["a1", "a2", "b1"]
        assert pusher.pushed_count == 3


async def test_own_message_and_foreign_delivery_are_told_apart(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store, open_push_proxy() as proxy, pushing(store, proxy, Clock()):
        alice, bob = await make_account(store, "alice", "a"), await make_account(store, "bob", "b")
        await deliver(store, alice, bob, sender=alice)
        await proxy.wait_for(1)
        await store.deliver_once("delivery", [Recipient(bob.id, QUOTA)], b"Subject: y\r\n\r\n", NOW)
        await proxy.wait_for(2)

        assert proxy.tokens == ["b", "b"]


async def test_message_that_does_not_fit_wakes_nobody(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store, open_push_proxy() as proxy, pushing(store, proxy, Clock()):
        alice = await make_account(store, "alice", "a")
        assert await store.deliver([Recipient(alice.id, 1)], b"Subject: x\r\n\r\n", NOW) == {alice.id}

        assert await store.count_notifications() == 0
        assert proxy.tokens == []


@pytest.mark.parametrize(
    ("age", "expected"),
    [(TOKEN_FRESH_SECONDS - 1, 1), (TOKEN_FRESH_SECONDS, 1), (TOKEN_FRESH_SECONDS + 1, 0)],
)
async def test_token_is_pushed_for_ninety_days(tmp_path: Path, age: int, expected: int) -> None:
    async with open_store(tmp_path) as store:
        store.watch_notifications(lambda: None)
        await deliver(store, await make_account(store, "alice", "a", age=age))

        assert await store.count_notifications() == expected


async def test_failure_is_tried_again_after_8_and_64_seconds(tmp_path: Path) -> None:
    clock = Clock()
    async with open_store(tmp_path) as store, open_push_proxy() as proxy:
        proxy.statuses["a"] = [503, 500]
        alice = await make_account(store, "alice", "a")
        for due in (0, 8, 72):
            clock.now = NOW + due
            async with pushing(store, proxy, clock):
                if due == 0:
                    await deliver(store, alice)
                count = len(proxy.tokens) + 1
                await proxy.wait_for(count)
                if due < 72:
                    await wait_for_next_attempt(store, NOW + {0: 8, 8: 72}[due])
                else:
                    await wait_until_empty(store)

        assert proxy.tokens == ["a", "a", "a"]


async def wait_for_next_attempt(store: SqliteMailStore, at: int) -> None:
    async with asyncio.timeout(10):
        while [n.next_attempt_at_seconds for n in await store.list_notifications(9, is_retry=True)] != [at]:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)


async def test_token_that_is_not_due_yet_waits(tmp_path: Path) -> None:
    clock = Clock()
    async with open_store(tmp_path) as store, open_push_proxy() as proxy:
        proxy.statuses["a"] = [503]
        async with pushing(store, proxy, clock):
            await deliver(store, await make_account(store, "alice", "a"))
            await wait_for_next_attempt(store, NOW + 8)
        clock.now = NOW + 7
        async with pushing(store, proxy, clock):
            bob = await make_account(store, "bob", "b")
            await deliver(store, bob)
            await proxy.wait_for(2)

        assert proxy.tokens == ["a", "b"]


async def test_token_is_given_up_after_five_hours_and_lives_on(tmp_path: Path) -> None:
    clock = Clock()
    async with open_store(tmp_path) as store, open_push_proxy() as proxy:
        proxy.statuses["a"] = [503, 503]
        alice = await make_account(store, "alice", "a")
        async with pushing(store, proxy, clock):
            await deliver(store, alice)
            await wait_for_next_attempt(store, NOW + 8)
        clock.now = NOW + 5 * 3600
        async with pushing(store, proxy, clock):
            await proxy.wait_for(2)
            await wait_until_empty(store)

        assert await store.list_device_tokens(alice.id, 0) == ["a"]


async def test_410_removes_the_token(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store, open_push_proxy() as proxy, pushing(store, proxy, Clock()):
        proxy.statuses["a1"] = [410]
        alice = await make_account(store, "alice", "a1", "a2")
        await deliver(store, alice)
        await proxy.wait_for(2)
        await wait_until_empty(store)

        assert await store.list_device_tokens(alice.id, 0) == ["a2"]


async def test_what_is_queued_survives_a_restart_of_the_node(tmp_path: Path) -> None:
    async with open_push_proxy() as proxy:
        async with open_store(tmp_path) as store:
            store.watch_notifications(lambda: None)
            await deliver(store, await make_account(store, "alice", "a"))
        async with open_store(tmp_path) as store, pushing(store, proxy, Clock()):
            await proxy.wait_for(1)
            await wait_until_empty(store)

        assert proxy.tokens == ["a"]


async def test_mail_that_comes_during_an_attempt_is_pushed_after_it(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store, open_push_proxy() as proxy:
        store.watch_notifications(lambda: None)
        alice = await make_account(store, "alice", "a")
        await deliver(store, alice)
        (listed,) = await store.list_notifications(9, is_retry=False)
        await deliver(store, alice)
        await store.finish_notification(listed)

        assert await store.count_notifications() == 1
        async with pushing(store, proxy, Clock()):
            await wait_until_empty(store)
        assert proxy.tokens == ["a"]


async def test_delivery_does_not_wait_for_a_proxy_that_hangs_nor_do_fresh_tokens_for_retries(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with open_store(tmp_path) as store, open_push_proxy() as proxy:
        slow = [f"slow{number}" for number in range(RETRIES_AT_ONCE + 1)]
        proxy.statuses |= {token: [503] for token in slow}
        alice = await make_account(store, "alice", *slow)
        async with pushing(store, proxy, clock):
            await deliver(store, alice)
            await proxy.wait_for(len(slow))
            async with asyncio.timeout(10):
                while len(await store.list_notifications(9, is_retry=True)) < len(slow):  # noqa: ASYNC110 - the store tells nobody
                    await asyncio.sleep(0.01)
        clock.now, proxy.tokens = NOW + 8, []
        proxy.hanging |= set(slow)
        async with pushing(store, proxy, clock):
            await proxy.wait_for(RETRIES_AT_ONCE)
            fresh = [f"b{number}" for number in range(2 * FIRST_AT_ONCE)]
            bob = await make_account(store, "bob", *fresh)
            await deliver(store, bob)
            await proxy.wait_for(RETRIES_AT_ONCE + len(fresh))

        assert sorted(token for token in proxy.tokens if token in fresh) == sorted(fresh)
        assert len([token for token in proxy.tokens if token in slow]) == RETRIES_AT_ONCE


async def test_proxy_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        async with open_push_proxy() as proxy:
            pass
        async with pushing(store, proxy, Clock()):
            await deliver(store, await make_account(store, "alice", "a"))
            await wait_for_next_attempt(store, NOW + 8)


async def test_without_a_pusher_nothing_is_queued(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        unwatch = store.watch_notifications(lambda: None)
        unwatch()
        await deliver(store, await make_account(store, "alice", "a"))

        assert await store.count_notifications() == 0


async def test_where_it_is_off_what_waits_is_let_go_and_nothing_is_queued(tmp_path: Path) -> None:
    clock, off, on = Clock(), PushRules(is_enabled=False), PushRules()
    async with (
        open_store(tmp_path) as store,
        open_push_proxy() as proxy,
        pushing(store, proxy, clock) as pusher,
    ):
        proxy.statuses["a"] = [503]
        alice = await make_account(store, "alice", "a")
        await deliver(store, alice)
        await wait_for_next_attempt(store, NOW + 8)
        pusher.put_in_force(off)
        await wait_until_empty(store)
        await deliver(store, alice)
        assert await store.count_notifications() == 0

        clock.now = NOW + 3600
        pusher.put_in_force(on)
        await deliver(store, await make_account(store, "bob", "b"))
        await proxy.wait_for(2)
        await wait_until_empty(store)
        assert proxy.tokens == ["a", "b"]


@pytest.mark.parametrize(
    ("failures", "pauses"),
    [
        (PUSH_FAILURES_BEFORE_PAUSE - 1, False),
        (PUSH_FAILURES_BEFORE_PAUSE, True),
        (PUSH_FAILURES_BEFORE_PAUSE + 1, True),
    ],
)
async def test_five_failures_in_a_row_pause_it(tmp_path: Path, failures: int, pauses: bool) -> None:
    async with (
        open_store(tmp_path) as store,
        open_push_proxy() as proxy,
        pushing(store, proxy, Clock()) as pusher,
    ):
        pusher.put_in_force(PushRules(pauses=True))
        for number in range(failures):
            proxy.statuses[f"a{number}"] = [503]
            await deliver(store, await make_account(store, f"a{number}", f"a{number}"))
            await wait_for_failures(pusher, min(number + 1, PUSH_FAILURES_BEFORE_PAUSE))
        await deliver(store, await make_account(store, "bob", "b"))
        if pauses:
            await asyncio.sleep(0.1)
            assert "b" not in proxy.tokens
            pusher.put_in_force(PushRules())  # which ends the pause
        await proxy.wait_for(failures + 1)
        assert "b" in proxy.tokens


@pytest.mark.parametrize(("after_seconds", "is_over"), [(PAUSE_SECONDS - 1, False), (PAUSE_SECONDS, True)])
async def test_pause_lasts_an_hour_and_what_waited_is_kept(
    tmp_path: Path,
    after_seconds: float,
    is_over: bool,
) -> None:
    clock, tokens = Clock(), [f"a{number}" for number in range(PUSH_FAILURES_BEFORE_PAUSE)]
    async with (
        open_store(tmp_path) as store,
        open_push_proxy() as proxy,
        pushing(store, proxy, clock) as pusher,
    ):
        pusher.put_in_force(PushRules(pauses=True))
        proxy.statuses |= {token: [503] for token in tokens}
        await deliver(store, await make_account(store, "alice", *tokens))
        await wait_for_failures(pusher, PUSH_FAILURES_BEFORE_PAUSE)
        proxy.tokens.clear()
        clock.now = NOW + after_seconds
        await deliver(store, await make_account(store, "bob", "b"))  # wakes it, as its own clock would
        if is_over:
            await wait_until_empty(store)
            assert sorted(proxy.tokens) == sorted([*tokens, "b"])
            assert pusher.failures_in_a_row == 0
        else:
            await asyncio.sleep(0.1)
            assert proxy.tokens == []


async def wait_for_failures(pusher: Pusher, count: int) -> None:
    async with asyncio.timeout(10):
        while pusher.failures_in_a_row < count:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
