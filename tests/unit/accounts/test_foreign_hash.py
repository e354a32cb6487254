"""Hashes of other servers: what is verified, and what is refused."""

from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.accounts.errors import BadAddressError
from mailnode.accounts.foreign_hash import is_foreign, verify_foreign
from mailnode.accounts.password import PasswordHasher, check_hash

# Made by `openssl passwd -5` and `-6`.
CRYPT_256 = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
CRYPT_512 = (
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
)


def madmail(password: str, salt: bytes = b"s" * 32) -> str:
    digest = sha256(salt + password.encode()).digest()
    return f"sha256:{b64encode(salt).decode()}:{b64encode(digest).decode()}"


@pytest.mark.parametrize("password_hash", [CRYPT_256, CRYPT_512])
def test_crypt_hash_is_verified(password_hash: str) -> None:
    check_hash(password_hash)
    assert verify_foreign(password_hash, "Hello world!")
    assert not verify_foreign(password_hash, "Hello world")


@given(st.text(max_size=30), st.text(max_size=30))
def test_madmail_hash_is_verified(password: str, other: str) -> None:
    check_hash(madmail(password))
    assert verify_foreign(madmail(password), password)
    assert verify_foreign(madmail(password), other) is (other == password)


@pytest.mark.parametrize(
    "password_hash",
    [
        "",
        "plain",
        "$6$salt$tooshort",
        "$5$rounds=999$salt$" + "a" * 43,
        "$5$rounds=100001$salt$" + "a" * 43,
        "$argon2id$v=19$m=999999,t=2,p=1$c2FsdHNhbHQ$" + "a" * 43,
        "$argon2id$v=19$m=19456,t=17,p=1$c2FsdHNhbHQ$" + "a" * 43,
        "sha256:c2FsdA==:short",
    ],
)
def test_hash_that_no_login_could_verify_is_refused(password_hash: str) -> None:
    with pytest.raises(BadAddressError):
        check_hash(password_hash)


@pytest.mark.parametrize("rounds", [1_000, 100_000])
def test_rounds_are_limited(rounds: int) -> None:
    check_hash(f"$5$rounds={rounds}$salt${'a' * 43}")


@given(st.text(max_size=100) | st.from_regex(r"\A(sha256:|\$[56]\$)[^\n]{0,90}\Z"))
def test_any_text_is_judged(text: str) -> None:
    if is_foreign(text):
        assert not verify_foreign(text, "a password")
    try:
        check_hash(text)
    except BadAddressError:
        assert not is_foreign(text)


@pytest.mark.anyio
async def test_argon2_hash_of_elsewhere_is_taken() -> None:
    made = await PasswordHasher(memory_kib=8, time_cost=1, threads=1).hash("a password")
    check_hash(made)


BCRYPT = (
    "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"  # of U*U, from the tests of its makers
)


@pytest.mark.parametrize("form", ["$2b$", "$2a$", "$2y$"])
def test_bcrypt_hash_is_verified(form: str) -> None:
    password_hash = form + BCRYPT[4:]

    check_hash(password_hash)
    assert verify_foreign(password_hash, "U*U")
    assert not verify_foreign(password_hash, "U*U*")
    assert not verify_foreign(password_hash, "U*U\0")


@pytest.mark.parametrize(("cost", "expected"), [("03", False), ("04", True), ("12", True), ("13", False)])
def test_bcrypt_of_too_high_a_cost_is_refused(cost: str, expected: bool) -> None:
    assert is_foreign(f"$2b${cost}${BCRYPT[7:]}") is expected
