"""Hashing in a few threads, with an end to the queue; and what is remembered of a verified password."""

import asyncio
import threading
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from mailnode.accounts.errors import BadAddressError, LoginUnavailableError
from mailnode.accounts.password import (
    DEFAULT_MEMORY_KIB,
    DEFAULT_TIME_COST,
    PasswordHasher,
    check_new_password,
    invent_credentials,
    is_judgeable,
)
from mailnode.accounts.verified import VerifiedCredentials
from mailnode.store.mail_store import Account, AccountId
from support.store_accounts import fast_hasher

pytestmark = pytest.mark.anyio


def make_account(number: int = 1) -> Account:
    return Account(
        AccountId(number),
        "a@example.org",
        "hash",
        None,
        is_banned=False,
        created_at_seconds=0,
        last_login_at_seconds=None,
    )


async def test_password_is_recognised_and_another_is_not() -> None:
    hasher = fast_hasher()
    password_hash = await hasher.hash("correct horse")

    assert await hasher.verify(password_hash, "correct horse")
    assert not await hasher.verify(password_hash, "correct horsf")
    assert password_hash != await hasher.hash("correct horse")


async def test_default_hash_is_argon2id_of_the_usual_strength() -> None:
    password_hash = await PasswordHasher().hash("correct horse")

    assert password_hash.startswith(f"$argon2id$v=19$m={DEFAULT_MEMORY_KIB},t={DEFAULT_TIME_COST},p=1$")
    assert DEFAULT_MEMORY_KIB == 19 * 1024


async def test_unreadable_hash_is_no_match() -> None:
    assert not await fast_hasher().verify("{SHA512-CRYPT}$6$x", "correct horse")


async def test_passwords_beyond_the_queue_are_turned_away_and_later_taken() -> None:
    hasher = fast_hasher(threads=1, max_waiting=2)
    gate = threading.Event()
    blocked = asyncio.ensure_future(hasher._run(gate.wait))  # noqa: SLF001 - holds the only thread
    waiting = [asyncio.ensure_future(hasher.hash("correct horse")) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(LoginUnavailableError):
        await hasher.hash("correct horse")

    waiting[0].cancel()
    gate.set()
    assert await blocked
    assert (await waiting[1]).startswith("$argon2id$")
    assert (await hasher.hash("correct horse")).startswith("$argon2id$")


async def test_wasting_time_works_before_anybody_has_an_account() -> None:
    async with AsyncExitStack() as stack:
        hasher = fast_hasher()
        await hasher.start(stack)
        await hasher.waste("correct horse")


@pytest.mark.parametrize(("length", "is_fine"), [(8, False), (9, True), (1024, True), (1025, False)])
def test_length_of_a_new_password_is_bounded(length: int, is_fine: bool) -> None:
    if is_fine:
        check_new_password("x" * length)
    else:
        with pytest.raises(BadAddressError):
            check_new_password("x" * length)


def test_password_that_is_no_text_is_not_judged() -> None:
    assert not is_judgeable("correct \udcff horse")
    assert is_judgeable("pässwörd ✓ \x00")


def test_invented_credentials_are_long_plain_and_new() -> None:
    invented = [invent_credentials() for _ in range(100)]

    assert len({name for name, _ in invented}) == len({password for _, password in invented}) == 100
    for name, password in invented:
        assert len(name) == 9
        assert name.isascii()
        assert name.isalnum()
        assert name == name.lower()
        assert len(password) == 22
        assert password.isascii()
        assert password.isalnum()


def test_verified_password_is_known_until_forgotten() -> None:
    verified = VerifiedCredentials()
    account = make_account()
    verified.remember(account, "correct horse")

    assert verified.is_known(account, "correct horse")
    assert not verified.is_known(account, "correct horsf")
    verified.forget(account.id)
    assert not verified.is_known(account, "correct horse")


def test_verified_password_is_worth_nothing_with_another_hash() -> None:
    verified = VerifiedCredentials()
    account = make_account()
    verified.remember(account, "correct horse")

    assert not verified.is_known(replace(account, password_hash="other"), "correct horse")


def test_account_longest_unused_is_forgotten_first() -> None:
    verified = VerifiedCredentials(max_entries=2)
    one, two, three = (make_account(number) for number in (1, 2, 3))
    verified.remember(one, "x")
    verified.remember(two, "x")
    assert verified.is_known(one, "x")
    verified.remember(three, "x")

    assert [verified.is_known(account, "x") for account in (one, two, three)] == [True, False, True]
