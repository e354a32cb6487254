"""Sessions of the pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.admins.web_sessions import (
    VALID_FOR_SECONDS,
    is_form_key,
    read_session,
    write_form_key,
    write_session,
)
from controlplane.vault import Vault
from support.controlplane_site import NOW

VAULT = Vault(bytes(32))
SESSION = write_session(VAULT, 7, NOW)


def test_session_says_whose_token_was_shown() -> None:
    assert read_session(VAULT, SESSION, NOW) == 7


@pytest.mark.parametrize(("age", "token_id"), [(VALID_FOR_SECONDS - 1, 7), (VALID_FOR_SECONDS, None)])
def test_session_is_over_at_its_second(age: int, token_id: int | None) -> None:
    assert read_session(VAULT, SESSION, NOW + age) == token_id


@given(st.integers(0, len(SESSION) - 1), st.sampled_from("0123456789abcdef.-"))
def test_session_that_was_changed_is_none(position: int, character: str) -> None:
    changed = SESSION[:position] + character + SESSION[position + 1 :]

    assert changed == SESSION or read_session(VAULT, changed, NOW) is None


@given(st.text())
def test_garbage_is_no_session(text: str) -> None:
    assert read_session(VAULT, text, NOW) is None


def test_session_of_another_key_is_none() -> None:
    assert read_session(Vault(bytes([1]) * 32), SESSION, NOW) is None


def test_form_key_belongs_to_one_session() -> None:
    key = write_form_key(VAULT, SESSION)

    assert is_form_key(VAULT, SESSION, key)
    assert not is_form_key(VAULT, write_session(VAULT, 7, NOW + 1), key)
    assert not is_form_key(VAULT, SESSION, "ü")
