"""Who may log in, who is created, and who is shut out."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailnode.accounts.errors import (
    BadAddressError,
    LoginRefusedError,
    LoginUnavailableError,
    RegistrationClosedError,
)
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy
from mailnode.accounts.rate_limit import RateLimit
from mailnode.store.account_register import AccountRegister
from mailnode.store.mail_store import AccountExistsError, UnknownAccountError
from support.store_accounts import CLIENT, DOMAIN, NOW, PASSWORD, fast_hasher, make_accounts
from support.store_backends import BACKENDS
from support.store_memory import MemoryMailStore

pytestmark = pytest.mark.anyio
ALICE = f"alice@{DOMAIN}"
CLOSED = Policy(registration_open=False)
NO_JIT = Policy(jit_enabled=False)


@pytest.fixture(params=sorted(BACKENDS))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountRegister]:
    async with BACKENDS[request.param](tmp_path) as opened:
        yield opened


class CountingHasher(PasswordHasher):
    """A real hasher that counts its work, because the count is what is promised."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, time_cost=1)
        self.hashed = 0
        self.verified = 0

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return await super().hash(password)

    async def verify(self, password_hash: str, password: str) -> bool:
        self.verified += 1
        return await super().verify(password_hash, password)


async def test_first_login_makes_the_account(store: AccountRegister) -> None:
    accounts = make_accounts(store)

    account = await accounts.log_in("Alice@Example.org", PASSWORD, CLIENT)

    assert account.address == ALICE
    assert account.created_at_seconds == NOW
    found = await store.find_account(ALICE)
    assert found is not None
    assert found.id == account.id
    assert PASSWORD not in found.password_hash


async def test_second_login_needs_the_same_password(store: AccountRegister) -> None:
    accounts = make_accounts(store)
    first = await accounts.log_in(ALICE, PASSWORD, CLIENT)

    assert (await accounts.log_in(ALICE, PASSWORD, CLIENT)).id == first.id
    with pytest.raises(LoginRefusedError):
        await accounts.log_in(ALICE, "another password", CLIENT)
    assert (await make_accounts(store).log_in(ALICE, PASSWORD, CLIENT)).id == first.id


@pytest.mark.parametrize("policy", [CLOSED, NO_JIT])
async def test_unknown_login_is_refused_while_creation_is_off(store: AccountRegister, policy: Policy) -> None:
    accounts = make_accounts(store)
    await accounts.log_in(ALICE, PASSWORD, CLIENT)

    accounts.policy.current = policy

    with pytest.raises(LoginRefusedError):
        await accounts.log_in(f"bob@{DOMAIN}", PASSWORD, CLIENT)
    assert await store.count_accounts() == 1
    assert (await accounts.log_in(ALICE, PASSWORD, CLIENT)).address == ALICE


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("alice", PASSWORD),
        ("alice@other.org", PASSWORD),
        (f"root@{DOMAIN}", PASSWORD),
        (f"al@{DOMAIN}", PASSWORD),
        (ALICE, "8 chars."),
        (ALICE, "x" * 1025),
        (ALICE, "no text \udcff"),
        ("", ""),
    ],
)
async def test_inadmissible_credentials_make_no_account(
    store: AccountRegister, login: str, password: str
) -> None:
    with pytest.raises(LoginRefusedError, match="Wrong address or password"):
        await make_accounts(store).log_in(login, password, CLIENT)

    assert await store.count_accounts() == 0


async def test_parallel_first_logins_with_one_password_all_get_in(store: AccountRegister) -> None:
    hasher = CountingHasher()
    accounts = make_accounts(store, hasher=hasher)

    logged_in = await asyncio.gather(*(accounts.log_in(ALICE, PASSWORD, CLIENT) for _ in range(10)))

    assert len({account.id for account in logged_in}) == 1
    assert await store.count_accounts() == 1
    assert (hasher.hashed, hasher.verified) == (1, 0)


async def test_parallel_first_logins_with_different_passwords_have_one_winner(store: AccountRegister) -> None:
    accounts = make_accounts(store)

    results = await asyncio.gather(
        *(accounts.log_in(ALICE, f"password number {n}", CLIENT) for n in range(6)), return_exceptions=True
    )

    winners = [n for n, result in enumerate(results) if not isinstance(result, BaseException)]
    assert len(winners) == 1
    assert sum(isinstance(result, LoginRefusedError) for result in results) == 5
    assert await store.count_accounts() == 1
    await make_accounts(store).log_in(ALICE, f"password number {winners[0]}", CLIENT)


async def test_registration_closed_during_the_hashing_makes_no_account(store: AccountRegister) -> None:
    accounts = make_accounts(store)
    login = asyncio.ensure_future(accounts.log_in(ALICE, PASSWORD, CLIENT))
    await asyncio.sleep(0)

    accounts.policy.current = CLOSED

    with pytest.raises(LoginRefusedError):
        await login
    assert await store.count_accounts() == 0


async def test_reconnect_hashes_nothing() -> None:
    hasher = CountingHasher()
    accounts = make_accounts(MemoryMailStore(), hasher=hasher)
    await accounts.log_in(ALICE, PASSWORD, CLIENT)

    for _ in range(5):
        await accounts.log_in(ALICE, PASSWORD, CLIENT)

    assert (hasher.hashed, hasher.verified) == (1, 0)


async def test_reconnect_costs_microseconds(store: AccountRegister) -> None:
    accounts = make_accounts(store)
    await accounts.log_in(ALICE, PASSWORD, CLIENT)

    began_at = time.process_time()
    for _ in range(500):
        await accounts.log_in(ALICE, PASSWORD, CLIENT)

    assert (time.process_time() - began_at) / 500 < 0.000_5


@pytest.mark.parametrize("policy", [Policy(), CLOSED])
async def test_each_refused_login_costs_one_verification(policy: Policy) -> None:
    hasher = CountingHasher()
    accounts = make_accounts(MemoryMailStore(), hasher=hasher)
    await accounts.log_in(ALICE, PASSWORD, CLIENT)
    await hasher.waste("so that the decoy is there")
    accounts.policy.current = policy
    before = hasher.verified

    for login in (ALICE, f"root@{DOMAIN}"):
        with pytest.raises(LoginRefusedError):
            await accounts.log_in(login, "wrong password", CLIENT)

    assert hasher.verified - before == 2


async def test_store_trouble_is_no_wrong_password() -> None:
    store = MemoryMailStore()
    accounts = make_accounts(store, failure_limit=RateLimit(per_minute=1, burst=1))
    store.is_available = False

    for _ in range(3):
        with pytest.raises(LoginUnavailableError):
            await accounts.log_in(ALICE, PASSWORD, CLIENT)
        with pytest.raises(LoginUnavailableError):
            await accounts.register(CLIENT)


async def test_overload_is_no_wrong_password() -> None:
    accounts = make_accounts(MemoryMailStore(), hasher=fast_hasher(threads=1, max_waiting=1))

    results = await asyncio.gather(
        *(accounts.log_in(f"user{n}@{DOMAIN}", PASSWORD, CLIENT) for n in range(5)), return_exceptions=True
    )

    assert sum(isinstance(result, LoginUnavailableError) for result in results) == 3


async def test_new_accounts_are_limited_by_prefix_and_old_ones_are_not() -> None:
    accounts = make_accounts(MemoryMailStore(), creation_limit=RateLimit(per_minute=1, burst=2))
    await accounts.log_in(ALICE, PASSWORD, CLIENT)
    await accounts.register(CLIENT)

    with pytest.raises(LoginUnavailableError, match="new accounts"):
        await accounts.log_in(f"carol@{DOMAIN}", PASSWORD, CLIENT)
    with pytest.raises(LoginUnavailableError, match="new accounts"):
        await accounts.register(CLIENT)

    await accounts.log_in(ALICE, PASSWORD, CLIENT)
    await accounts.log_in(f"carol@{DOMAIN}", PASSWORD, "198.51.100.1")


async def test_failed_logins_are_limited_by_prefix() -> None:
    accounts = make_accounts(MemoryMailStore(), failure_limit=RateLimit(per_minute=1, burst=3))
    await accounts.log_in(ALICE, PASSWORD, CLIENT)
    for _ in range(3):
        with pytest.raises(LoginRefusedError):
            await accounts.log_in(ALICE, "wrong password", CLIENT)

    with pytest.raises(LoginUnavailableError, match="failed logins"):
        await accounts.log_in(ALICE, PASSWORD, CLIENT)
    await accounts.log_in(ALICE, PASSWORD, "2001:db8::1")


async def test_registered_account_can_log_in(store: AccountRegister) -> None:
    accounts = make_accounts(store, policy=NO_JIT)

    address, password = await accounts.register(CLIENT)

    name, _, domain = address.partition("@")
    assert (len(name), domain) == (9, DOMAIN)
    assert len(password) >= 20
    assert (await make_accounts(store).log_in(address, password, CLIENT)).address == address


async def test_nobody_registers_while_registration_is_closed(store: AccountRegister) -> None:
    with pytest.raises(RegistrationClosedError):
        await make_accounts(store, policy=CLOSED).register(CLIENT)

    assert await store.count_accounts() == 0


async def test_login_is_recorded(store: AccountRegister) -> None:
    accounts = make_accounts(store)
    await accounts.log_in(ALICE, PASSWORD, CLIENT)
    await accounts.change_quota(ALICE, 5)

    (listed,) = await store.list_accounts("", 1)
    assert listed.last_login_at_seconds == NOW


async def test_recipient_is_an_account_of_this_node_that_is_not_banned(store: AccountRegister) -> None:
    accounts = make_accounts(store)
    account = await accounts.create(ALICE, PASSWORD)

    assert await accounts.find_recipient("ALICE@example.org") == account
    for address in ("bob@example.org", "alice@other.org", "no address", ""):
        assert await accounts.find_recipient(address) is None

    await accounts.change_ban(ALICE, is_banned=True)
    assert await accounts.find_recipient(ALICE) is None
    await accounts.change_ban(ALICE, is_banned=False)
    assert await accounts.find_recipient(ALICE) == account


async def test_quota_is_the_accounts_own_or_the_default_of_the_moment(store: AccountRegister) -> None:
    accounts = make_accounts(store, policy=Policy(quota_bytes=10))
    account = await accounts.create(ALICE, PASSWORD)
    assert accounts.quota_of(account) == 10

    accounts.policy.current = Policy(quota_bytes=20)
    assert accounts.quota_of(account) == 20

    for own, expected in ((0, 0), (7, 7), (None, 20)):
        await accounts.change_quota(ALICE, own)
        assert accounts.quota_of(await accounts.find(ALICE)) == expected


@pytest.mark.parametrize("what", ["ban", "password", "removal"])
async def test_sessions_end_when_an_account_is_shut_out(store: AccountRegister, what: str) -> None:
    accounts = make_accounts(store, policy=NO_JIT)
    account = await accounts.create(ALICE, PASSWORD)
    other = await accounts.create(f"bob@{DOMAIN}", PASSWORD)
    await accounts.log_in(ALICE, PASSWORD, CLIENT)
    ended: list[str] = []
    accounts.watch_sessions(account.id, lambda: ended.append("imap"))
    accounts.watch_sessions(account.id, lambda: ended.append(str(1 // 0)))
    accounts.watch_sessions(account.id, lambda: ended.append("smtp"))
    accounts.watch_sessions(account.id, lambda: ended.append("closed before"))()
    accounts.watch_sessions(other.id, lambda: ended.append("bob"))
    assert accounts.count_sessions() == 4

    match what:
        case "ban":
            await accounts.change_ban(ALICE, is_banned=True)
        case "password":
            await accounts.change_password(ALICE, "another password")
        case _:
            await accounts.remove(ALICE)

    assert ended == ["imap", "smtp"]
    assert accounts.count_sessions() == 1
    with pytest.raises(LoginRefusedError):
        await accounts.log_in(ALICE, PASSWORD, CLIENT)


async def test_changed_password_is_the_one_that_counts(store: AccountRegister) -> None:
    accounts = make_accounts(store)
    await accounts.log_in(ALICE, PASSWORD, CLIENT)

    await accounts.change_password(ALICE, "another password")

    await accounts.log_in(ALICE, "another password", CLIENT)


@pytest.mark.parametrize("what", ["ban", "password", "removal"])
async def test_account_shut_out_during_a_login_does_not_get_in(store: AccountRegister, what: str) -> None:
    await make_accounts(store).log_in(ALICE, PASSWORD, CLIENT)
    hasher = fast_hasher(threads=1)
    accounts = make_accounts(store, hasher=hasher)
    gate = threading.Event()
    asyncio.get_running_loop().run_in_executor(hasher._executor, gate.wait)  # noqa: SLF001 - holds the only thread
    login = asyncio.ensure_future(accounts.log_in(ALICE, PASSWORD, CLIENT))
    await asyncio.sleep(0)
    account = await accounts.find(ALICE)

    match what:
        case "ban":
            await store.change_ban(account.id, is_banned=True)
        case "password":
            await store.change_password(account.id, "another hash")
        case _:
            await store.remove_account(account.id)
    gate.set()

    with pytest.raises(LoginRefusedError):
        await login


async def test_operator_creates_accounts_whatever_the_policy(store: AccountRegister) -> None:
    accounts = make_accounts(store, policy=CLOSED)
    await accounts.create(ALICE, PASSWORD)

    with pytest.raises(AccountExistsError):
        await accounts.create(ALICE, PASSWORD)
    for address, password in (
        ("a@x.org", PASSWORD),
        (f"root@{DOMAIN}", PASSWORD),
        (f"bob@{DOMAIN}", "short"),
    ):
        with pytest.raises(BadAddressError):
            await accounts.create(address, password)
    with pytest.raises(UnknownAccountError):
        await accounts.remove(f"bob@{DOMAIN}")
