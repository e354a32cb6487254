"""When there is no room for new accounts, and that others notice nothing."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mailnode.accounts.brake import (
    MAX_LOOP_LAG_SECONDS,
    MIN_DISK_BYTES,
    MIN_MEMORY_BYTES,
    Brake,
    Resources,
    find_shortage,
    measure,
)
from mailnode.accounts.errors import LoginUnavailableError
from mailnode.accounts.rate_limit import RateLimit
from mailnode.store.sqlite_store import SqliteMailStore
from support.store_accounts import CLIENT, PASSWORD, make_accounts

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("lag", "memory", "disk", "is_short"),
    [
        (0, MIN_MEMORY_BYTES, MIN_DISK_BYTES, False),
        (MAX_LOOP_LAG_SECONDS, MIN_MEMORY_BYTES + 1, MIN_DISK_BYTES + 1, False),
        (MAX_LOOP_LAG_SECONDS + 0.1, MIN_MEMORY_BYTES, MIN_DISK_BYTES, True),
        (0, MIN_MEMORY_BYTES - 1, MIN_DISK_BYTES, True),
        (0, MIN_MEMORY_BYTES, MIN_DISK_BYTES - 1, True),
    ],
)
def test_shortage_begins_at_its_limit(lag: float, memory: int, disk: int, is_short: bool) -> None:
    assert (find_shortage(Resources(lag, memory, disk)) is not None) is is_short


def test_this_host_is_measured(tmp_path: Path) -> None:
    memory_bytes, disk_bytes = measure(tmp_path)

    assert memory_bytes > 0
    assert disk_bytes > 0


async def test_lag_is_noticed_at_the_start(tmp_path: Path) -> None:
    brake = Brake(directory=tmp_path, read_loop_lag=lambda: MAX_LOOP_LAG_SECONDS + 1)
    async with AsyncExitStack() as stack:
        await brake.start(stack)

        assert brake.shortage == "the node cannot keep up"


async def test_directory_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    brake = Brake(directory=tmp_path / "gone", read_loop_lag=lambda: 99)
    async with AsyncExitStack() as stack:
        await brake.start(stack)

        assert brake.shortage is None


async def test_new_accounts_wait_and_others_log_in(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(tmp_path)
        await store.start(stack)
        accounts = make_accounts(store)
        await accounts.start(stack)
        await accounts.log_in("alice@example.org", PASSWORD, CLIENT)
        accounts.brake = Brake(directory=tmp_path, read_loop_lag=lambda: 0)
        accounts.brake.shortage = "less than 1 GB of the disk is free"

        with pytest.raises(LoginUnavailableError, match="no room"):
            await accounts.log_in("bob@example.org", PASSWORD, CLIENT)
        with pytest.raises(LoginUnavailableError, match="no room"):
            await accounts.register(CLIENT)
        assert (await accounts.log_in("alice@example.org", PASSWORD, CLIENT)).address == "alice@example.org"


@pytest.mark.parametrize(
    ("other", "is_neighbour"),
    [
        ("192.0.2.255", True),
        ("192.0.3.7", False),
        ("::ffff:192.0.2.9", True),
        ("2001:db8::1", False),
    ],
)
async def test_neighbouring_addresses_create_together(tmp_path: Path, other: str, is_neighbour: bool) -> None:
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(tmp_path)
        await store.start(stack)
        accounts = make_accounts(store, creation_limit=RateLimit(per_minute=1, burst=2))
        await accounts.start(stack)
        for name in ("a1", "a2"):
            await accounts.log_in(f"{name}name@example.org", PASSWORD, "192.0.2.7")
        if is_neighbour:
            with pytest.raises(LoginUnavailableError):
                await accounts.log_in("a3name@example.org", PASSWORD, other)
        else:
            await accounts.log_in("a3name@example.org", PASSWORD, other)
