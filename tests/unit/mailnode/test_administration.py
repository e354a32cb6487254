"""What a mail node does at the control plane's word about accounts, and by itself about what is old."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import JsonValue

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.errors import LoginRefusedError
from mailnode.accounts.foreign_hash import is_foreign
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.administration.operations import Operations
from mailnode.administration.purge import SEEN, Purge
from mailnode.administration.queries import Queries
from mailnode.administration.retention import (
    LARGE_MESSAGE_BYTES,
    LOGIN_MARGIN_SECONDS,
    SECONDS_PER_DAY,
    Retention,
    decide_by_policy,
)
from mailnode.store.account_register import AccountOrder, AccountRegister, AccountSearch
from mailnode.store.mail_store import (
    INBOX,
    Account,
    BodyId,
    Envelope,
    FlagMode,
    Message,
    Recipient,
    Uid,
)
from nodelink.channel.connection import RefusedError
from support.store_accounts import fast_hasher
from support.store_backends import BACKENDS
from support.store_mail import PLENTY, find_inbox

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000
DOMAIN = "one.example"
MADMAIL = "sha256:c2FsdA==:E2Ab2k6njmWge5jGbSbFUlTNqx4CXVXx4hgzb8rGo5I="
"""Not of any password here."""


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountRegister]:
    async with BACKENDS[request.param](tmp_path) as store:
        yield store


@pytest.fixture
async def accounts(store: AccountRegister) -> AsyncIterator[Accounts]:
    accounts = Accounts(
        store=store,
        policy=PolicyHolder(Policy()),
        domain=DOMAIN,
        hasher=fast_hasher(),
        clock_seconds=lambda: NOW,
    )
    async with AsyncExitStack() as stack:
        await accounts.start(stack)
        yield accounts


@pytest.fixture
def operations(accounts: Accounts) -> Operations:
    return Operations(accounts, Purge(accounts, accounts.store), lambda: None)


async def run(operations: Operations, name: str, arguments: dict[str, JsonValue]) -> None:
    await operations.by_name()[name](arguments)


async def add(store: AccountRegister, name: str, *sizes: int, at_seconds: int = NOW) -> Account:
    account = await store.add_account(f"{name}@{DOMAIN}", "$argon2id$x", NOW)
    for size in sizes:
        await store.deliver([Recipient(account.id, 1 << 30)], b"x" * size, at_seconds)
    return account


@pytest.mark.parametrize("order", AccountOrder)
@pytest.mark.parametrize("is_descending", [False, True])
async def test_pages_of_a_search_list_each_account_once(
    store: AccountRegister, order: AccountOrder, is_descending: bool
) -> None:
    for number in range(7):
        account = await add(store, f"user{number}", *([10] * (number % 3)))
        if number % 2:
            store.record_login(account.id, NOW + number // 4)
    await add(store, "other", 5)

    listed: list[str] = []
    after = None
    while True:
        wanted = AccountSearch(search="user", order=order, is_descending=is_descending, after=after, limit=2)
        page = await store.search_accounts(wanted)
        if not page:
            break
        listed += [each.account.address for each in page]
        last = page[-1]
        values = {
            AccountOrder.ADDRESS: 0,
            AccountOrder.SIZE: last.usage.size_bytes,
            AccountOrder.LAST_LOGIN: last.account.last_login_at_seconds or 0,
        }
        after = values[order], last.account.address
        here = replace(wanted, after=after, is_after_included=True)
        assert (await store.search_accounts(here))[0].account == last.account

    assert sorted(listed) == [f"user{number}@{DOMAIN}" for number in range(7)]
    if order is AccountOrder.ADDRESS:
        assert listed == sorted(listed, reverse=is_descending)


async def test_wildcards_in_a_search_are_letters(store: AccountRegister) -> None:
    await add(store, "ab")

    assert not await store.search_accounts(AccountSearch(search="%", limit=1))
    assert not await store.search_accounts(AccountSearch(search="a_", limit=1))


async def test_block_before_registration_keeps_the_address_from_everybody(
    operations: Operations, accounts: Accounts
) -> None:
    await run(operations, "block_addresses", {"addresses": [f"New.one@{DOMAIN}"], "reason": "x"})

    with pytest.raises(LoginRefusedError):
        await accounts.log_in(f"new.one@{DOMAIN}", "a password of length", "192.0.2.1")
    wanted: dict[str, JsonValue] = {"address": f"new.one@{DOMAIN}", "password": "a password of length"}
    with pytest.raises(RefusedError, match="blocked"):
        await run(operations, "import_accounts", {"accounts": [wanted]})
    assert await accounts.store.count_accounts() == 0

    await run(operations, "unblock_addresses", {"addresses": [f"new.one@{DOMAIN}"]})
    account = await accounts.log_in(f"new.one@{DOMAIN}", "a password of length", "192.0.2.1")
    assert not account.is_banned


async def test_account_made_while_its_address_was_blocked_is_banned(store: AccountRegister) -> None:
    await store.add_block(f"a@{DOMAIN}", "", NOW)

    assert (await add(store, "a")).is_banned


async def test_second_block_changes_the_reason_only(store: AccountRegister) -> None:
    await store.add_block("a@x", "one", 1)
    await store.add_block("a@x", "two", 2)

    (block,) = await store.list_blocks("", 9)
    assert (block.reason, block.blocked_at_seconds) == ("two", 1)


async def test_madmail_hash_is_renewed_at_the_first_login(operations: Operations, accounts: Accounts) -> None:
    password = "a password of length"
    hashed = f"sha256:c2FsdA==:{b64encode(sha256(b'salt' + password.encode()).digest()).decode()}"
    wanted: dict[str, JsonValue] = {"address": f"moved.one@{DOMAIN}", "password_hash": hashed}
    for _ in range(2):  # handed over twice, it is made once
        await run(operations, "import_accounts", {"accounts": [wanted]})

    await accounts.log_in(f"moved.one@{DOMAIN}", password, "192.0.2.1")

    account = await accounts.find(f"moved.one@{DOMAIN}")
    assert not is_foreign(account.password_hash)
    assert (await accounts.log_in(account.address, password, "192.0.2.1")).id == account.id


async def test_import_names_what_it_could_not_make_and_makes_the_rest(
    operations: Operations, accounts: Accounts
) -> None:
    wanted: list[JsonValue] = [
        {"address": f"fine.one@{DOMAIN}", "password_hash": MADMAIL},
        {"address": "fine.one@elsewhere.example", "password_hash": MADMAIL},
        {"address": f"fine.two@{DOMAIN}", "password_hash": "$2b$12$bcrypt"},
    ]
    with pytest.raises(RefusedError, match="2 of 3 failed"):
        await run(operations, "import_accounts", {"accounts": wanted})

    assert await accounts.store.count_accounts() == 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("import_accounts", {"accounts": []}),
        ("import_accounts", {"accounts": [{"address": "a@b"}]}),
        ("remove_accounts", {"addresses": ["a@b"] * 101}),
        ("block_addresses", {}),
        ("purge_mail", {"address": None, "what": "older"}),
        ("purge_mail", {"address": "nobody@one.example", "what": "all"}),
        ("purge_mail", {"address": "x", "what": "all"}),
    ],
)
async def test_order_that_makes_no_sense_is_refused(
    operations: Operations, name: str, arguments: dict[str, JsonValue]
) -> None:
    with pytest.raises(RefusedError):
        await run(operations, name, arguments)


async def test_hundred_accounts_are_removed_in_one_operation(
    operations: Operations, store: AccountRegister
) -> None:
    addresses: list[JsonValue] = [f"u{number}@{DOMAIN}" for number in range(100)]
    await add(store, "u7")

    for _ in range(2):
        await run(operations, "remove_accounts", {"addresses": addresses})

    assert await store.count_accounts() == 0


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ({"what": "all"}, 0),
        ({"what": "read"}, 2),
        ({"what": "older", "before_seconds": NOW}, 2),
        ({"what": "older", "before_seconds": NOW - 100}, 3),
    ],
)
async def test_purge_lets_go_what_is_named(
    operations: Operations, store: AccountRegister, arguments: dict[str, JsonValue], left: int
) -> None:
    account = await add(store, "a", 10, at_seconds=NOW - 100)
    await store.deliver([Recipient(account.id, 1 << 30)], b"yy", NOW)
    await store.deliver([Recipient(account.id, 1 << 30)], b"zz", NOW)
    inbox = await store.find_mailbox(account.id, INBOX)
    assert inbox is not None
    await store.change_flags(inbox.id, [Uid(2)], FlagMode.ADD, frozenset({"\\Seen"}))

    await run(operations, "purge_mail", {"address": None, **arguments})

    assert (await store.read_usage(account.id)).message_count == left


async def test_queue_is_told_by_domain(store: AccountRegister, accounts: Accounts) -> None:
    for destination in ("b.example", "a.example", "b.example"):
        envelope = Envelope("d" + destination, destination, "s@one.example", ("r@x",))
        await store.deliver([], b"x" * 10, NOW, [envelope])

    answer = await Queries(accounts, store).show_queue()

    assert [(each.destination, each.messages, each.size_bytes) for each in answer.queued] == [
        ("a.example", 1, 10),
        ("b.example", 2, 20),
    ]


async def test_old_messages_go_by_policy_and_the_limit_is_exact(
    accounts: Accounts, store: AccountRegister
) -> None:
    account = await add(store, "a", 1, at_seconds=NOW - 30 * SECONDS_PER_DAY)
    retention = Retention(accounts, Purge(accounts, store), clock_seconds=lambda: NOW)
    assert await retention.look() == (0, 0)

    accounts.policy.current = Policy(message_retention_days=30)
    assert await retention.look() == (0, 0)
    later = Retention(accounts, Purge(accounts, store), clock_seconds=lambda: NOW + 1)
    assert await later.look() == (1, 0)
    assert (await store.read_usage(account.id)).message_count == 0


@pytest.mark.parametrize(
    ("flags", "size_bytes", "age_seconds", "is_going"),
    [
        (SEEN, LARGE_MESSAGE_BYTES + 1, 7 * SECONDS_PER_DAY + 1, True),
        (SEEN, LARGE_MESSAGE_BYTES + 1, 7 * SECONDS_PER_DAY, False),
        (SEEN, LARGE_MESSAGE_BYTES, 7 * SECONDS_PER_DAY + 1, False),
        ("\\Flagged", LARGE_MESSAGE_BYTES + 1, 7 * SECONDS_PER_DAY + 1, False),
        ("\\Flagged", 1, 30 * SECONDS_PER_DAY + 1, True),
    ],
)
def test_large_messages_that_were_read_go_earlier(
    flags: str, size_bytes: int, age_seconds: int, *, is_going: bool
) -> None:
    decide = decide_by_policy(Policy(message_retention_days=30, large_message_retention_days=7), NOW)
    message = Message(Uid(1), frozenset({flags}), size_bytes, NOW - age_seconds, BodyId(1))

    assert decide(message) is is_going
    assert not decide_by_policy(Policy(), NOW)(message)


async def test_large_messages_go_by_policy(accounts: Accounts, store: AccountRegister) -> None:
    account = await add(store, "a")
    inbox = await find_inbox(store, account.id)
    await store.append(inbox.id, PLENTY, bytes(LARGE_MESSAGE_BYTES + 1), frozenset({SEEN}), NOW)
    accounts.policy.current = Policy(large_message_retention_days=1)

    later = Retention(accounts, Purge(accounts, store), clock_seconds=lambda: NOW + SECONDS_PER_DAY + 1)
    assert await later.look() == (1, 0)


async def test_unused_accounts_go_and_those_in_use_stay(accounts: Accounts, store: AccountRegister) -> None:
    unused, connected, banned = [await add(store, name) for name in ("unused", "connected", "banned")]
    await store.add_block(banned.address, "", NOW)
    forget = accounts.watch_sessions(connected.id, lambda: None)
    accounts.policy.current = Policy(unused_account_days=10)
    due_seconds = NOW + 10 * SECONDS_PER_DAY + LOGIN_MARGIN_SECONDS

    def look_at(now_seconds: int) -> Retention:
        return Retention(accounts, Purge(accounts, store), clock_seconds=lambda: now_seconds)

    assert await look_at(due_seconds).look() == (0, 0)
    assert await look_at(due_seconds + 1).look() == (0, 1)
    forget()
    await add(store, "another")
    assert await look_at(due_seconds + 2).look() == (0, 1)
    assert await store.find_account(unused.address) is None
    assert await store.find_account(banned.address) is not None
