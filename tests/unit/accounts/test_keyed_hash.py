"""Hashes of passwords that programs invent: which those are, and what the key is for."""

from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.accounts.errors import PepperError
from mailnode.accounts.foreign_hash import verify_foreign
from mailnode.accounts.keyed_hash import PEPPER_BYTES, KeyedHash, is_generated, load_pepper
from mailnode.accounts.password import PasswordHasher, invent_credentials
from support.store_accounts import fast_hasher

GENERATED = "abcdefghijklmnopqrstuv"
PEPPER = b"p" * PEPPER_BYTES

pytestmark = pytest.mark.anyio


def keyed_hasher(pepper: bytes = PEPPER) -> PasswordHasher:
    return PasswordHasher(pepper=pepper, memory_kib=8, time_cost=1, threads=1)


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("a" * 21, False),
        ("a" * 22, True),
        ("Z9" * 12, True),
        ("a" * 25, False),
        ("a" * 21 + "-", False),
        ("é" + "a" * 21, False),
        ("٣" * 22, False),
        ("a" * 22 + "\n", False),
    ],
)
def test_form_of_invented_passwords_is_recognised(password: str, expected: bool) -> None:
    assert is_generated(password) is expected


def test_our_own_pages_invent_passwords_of_that_form() -> None:
    assert is_generated(invent_credentials()[1])


@given(st.from_regex(r"[A-Za-z0-9]{22,24}", fullmatch=True), st.text(max_size=30))
def test_password_is_recognised_and_no_other(password: str, other: str) -> None:
    keyed = KeyedHash(PEPPER)
    stored = keyed.hash(password)

    assert keyed.verify(stored, password)
    assert keyed.verify(stored, other) is (other == password)
    assert stored != keyed.hash(password)


def test_stored_hash_does_not_hold_the_bare_digest() -> None:
    _, _, salt, masked = KeyedHash(PEPPER).hash(GENERATED).split(":")

    assert b64decode(masked) != sha256(b64decode(salt) + GENERATED.encode()).digest()


def test_another_key_is_noticed() -> None:
    with pytest.raises(PepperError, match="pepper"):
        KeyedHash(b"q" * PEPPER_BYTES).verify(KeyedHash(PEPPER).hash(GENERATED), GENERATED)


@pytest.mark.parametrize("stored", ["keyed:", "keyed:0123456789abcdef:AA==:AA==", "keyed:x:y:z"])
def test_damaged_hash_is_noticed(stored: str) -> None:
    with pytest.raises(PepperError):
        KeyedHash(PEPPER).verify(stored, GENERATED)


def test_portable_form_is_one_that_other_servers_verify() -> None:
    keyed = KeyedHash(PEPPER)
    portable = keyed.make_portable(keyed.hash(GENERATED))

    assert verify_foreign(portable, GENERATED)
    assert not verify_foreign(portable, GENERATED[::-1])


async def test_hasher_takes_the_key_for_invented_passwords_only() -> None:
    hasher = keyed_hasher()

    assert (await hasher.hash(GENERATED)).startswith("keyed:")
    assert (await hasher.hash("correct horse")).startswith("$argon2id$")
    assert (await fast_hasher().hash(GENERATED)).startswith("$argon2id$")


async def test_password_of_another_form_is_no_match_for_a_keyed_hash() -> None:
    hasher = keyed_hasher()
    stored = await hasher.hash(GENERATED)

    assert await hasher.verify(stored, GENERATED)
    assert not await hasher.verify(stored, "correct horse")
    assert not await keyed_hasher(b"q" * PEPPER_BYTES).verify(stored, GENERATED)
    assert not await fast_hasher().verify(stored, GENERATED)


async def test_slow_hash_of_an_invented_password_is_to_be_renewed() -> None:
    slow, hasher = await fast_hasher().hash(GENERATED), keyed_hasher()

    assert hasher.should_renew(slow, GENERATED)
    assert not hasher.should_renew(slow, "correct horse")
    assert not hasher.should_renew(await hasher.hash(GENERATED), GENERATED)
    assert not fast_hasher().should_renew(slow, GENERATED)


async def test_export_of_a_hash_of_another_key_leaves_it_as_it_is() -> None:
    stored = await keyed_hasher().hash(GENERATED)

    assert keyed_hasher(b"q" * PEPPER_BYTES).make_portable(stored) == stored
    assert keyed_hasher().make_portable("$argon2id$…") == "$argon2id$…"


def test_pepper_is_made_once_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    pepper = load_pepper(tmp_path)

    assert load_pepper(tmp_path) == pepper
    assert len(pepper) == PEPPER_BYTES
    assert (tmp_path / "pepper").stat().st_mode & 0o777 == 0o600


def test_damaged_pepper_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "pepper").write_bytes(b"short")

    with pytest.raises(PepperError, match="restore it from a backup"):
        load_pepper(tmp_path)


def test_pepper_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "pepper").mkdir()

    with pytest.raises(PepperError, match="pepper"):
        load_pepper(tmp_path)
