"""Which unknown logins an app adds by itself, and what refusing those does."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.accounts.app_form import is_added_by_app
from mailnode.accounts.errors import LoginRefusedError
from mailnode.accounts.password import invent_credentials
from mailnode.accounts.policy import Policy
from support.store_accounts import CLIENT, DOMAIN, PASSWORD, make_accounts
from support.store_memory import MemoryMailStore

NAME, SECRET = "4kpolc2wk", "hT7Qm2ZrX0aYb3LcVn8Kdef"
NO_APPS = Policy(app_accounts_enabled=False)


@pytest.mark.parametrize(
    ("name", "password", "is_marked"),
    [
        (NAME, SECRET, True),
        (NAME, SECRET + "a", False),
        (NAME, SECRET[:-1], False),
        (NAME, SECRET[:-1] + "-", False),
        (NAME[:-1], SECRET, False),
        (NAME + "a", SECRET, False),
        ("alice.bob", SECRET, False),
        (NAME, PASSWORD, False),
        (NAME, "é" * 23, False),
        (NAME, SECRET + "\n", False),
    ],
)
def test_app_marks_what_it_adds_by_nine_and_twenty_three_characters(
    name: str, password: str, *, is_marked: bool
) -> None:
    assert is_added_by_app(f"{name}@{DOMAIN}", password) is is_marked


@given(st.text(max_size=12), st.text(max_size=60))
def test_any_text_is_judged(name: str, password: str) -> None:
    plain = re.fullmatch("[a-z0-9]{9}", name) and re.fullmatch("[A-Za-z0-9]{23}", password)

    assert is_added_by_app(f"{name}@{DOMAIN}", password) is bool(plain)


@pytest.mark.anyio
async def test_app_that_adds_an_account_is_refused_and_nobody_else() -> None:
    store = MemoryMailStore()
    accounts = make_accounts(store)
    former = await accounts.log_in(f"{NAME}@{DOMAIN}", SECRET, CLIENT)

    accounts.policy.current = NO_APPS

    with pytest.raises(LoginRefusedError, match="Wrong address or password"):
        await accounts.log_in(f"{NAME[::-1]}@{DOMAIN}", SECRET, CLIENT)
    assert await store.count_accounts() == 1
    assert (await accounts.log_in(f"{NAME}@{DOMAIN}", SECRET, CLIENT)).id == former.id
    assert (await accounts.log_in(f"alice@{DOMAIN}", PASSWORD, CLIENT)).address == f"alice@{DOMAIN}"
    address, password = await accounts.register(CLIENT)
    assert (await accounts.log_in(address, password, CLIENT)).address == address
    accounts.policy.current = Policy()
    await accounts.log_in(f"{NAME[::-1]}@{DOMAIN}", SECRET, CLIENT)
    assert await store.count_accounts() == 4


def test_what_we_invent_and_what_people_scan_is_not_refused() -> None:
    name, password = invent_credentials()

    assert len(password) == len(SECRET) - 1  # as of an app that has scanned `dcaccount:HOST`
    assert not is_added_by_app(f"{name}@{DOMAIN}", password)
