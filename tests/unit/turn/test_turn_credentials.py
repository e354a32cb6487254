"""Credentials and nonces."""

import base64
import hashlib
import hmac

import pytest

from turnnode.relay.credentials import password_of, possible_keys, read_expiry
from turnnode.relay.nonce import PLAIN_BYTES, FiveTuple, NonceMint
from turnnode.relay.password_algorithms import long_term_key

NOW = 1_700_000_000.0
WEEK = 7 * 86_400
HERE = FiveTuple(("5.5.5.1", 4000), ("9.9.9.1", 3478))
MINT = NonceMint(key=b"k" * 32, valid_for_seconds=3600)


def test_password_is_what_a_mail_node_hands_out() -> None:
    expected = base64.b64encode(hmac.new(b"north", b"1700000000", hashlib.sha1).digest()).decode()

    assert password_of("north", "1700000000") == expected


def test_key_is_the_example_of_rfc_8489_section_9_2_2() -> None:
    assert long_term_key("user", "realm", "pass").hex() == "8493fbc53ba582fb4c044c456bdc40eb"


def test_every_live_secret_gives_a_key() -> None:
    keys = list(possible_keys("17", "r", ("new", "old")))

    assert keys == [long_term_key("17", "r", password_of(secret, "17")) for secret in ("new", "old")]


@pytest.mark.parametrize(
    ("ends_in", "is_accepted"), [(-1, False), (0, False), (1, True), (WEEK, True), (WEEK + 1, False)]
)
def test_expiry_must_lie_ahead_and_within_the_longest_lifetime(ends_in: int, is_accepted: bool) -> None:
    username = str(int(NOW) + ends_in).encode()

    assert (read_expiry(username, NOW, WEEK) is not None) is is_accepted


@pytest.mark.parametrize(
    "username",
    [
        b"",
        b"253402300799",  # the last second of the year 9999
        b"9" * 13,
        b"9" * 5000,
        b"1700000100:alice",
        b"+1700000100",
        b" 1700000100",
        b"17000001e2",
        "\u0661\u0667\u0660\u0660\u0660\u0660\u0660\u0661\u0660\u0660".encode(),  # digits, but not ASCII
        b"\xff\xfe",
    ],
)
def test_username_that_is_no_bare_near_second_is_refused(username: bytes) -> None:
    assert read_expiry(username, NOW, WEEK) is None


def test_nonce_is_valid_where_it_was_sent_until_it_expires() -> None:
    nonce = MINT.mint(HERE, NOW)

    assert len(nonce) == PLAIN_BYTES
    assert MINT.is_valid(nonce, HERE, NOW)
    assert MINT.is_valid(nonce, HERE, NOW + 3599)
    assert not MINT.is_valid(nonce, HERE, NOW + 3600)


@pytest.mark.parametrize(
    "elsewhere",
    [
        FiveTuple(("5.5.5.1", 4001), HERE.server),
        FiveTuple(("5.5.5.2", 4000), HERE.server),
        FiveTuple(HERE.client, ("9.9.9.1", 3479)),
        FiveTuple(HERE.client, ("9.9.9.2", 3478)),
    ],
)
def test_nonce_is_worth_nothing_on_another_5_tuple(elsewhere: FiveTuple) -> None:
    assert not MINT.is_valid(MINT.mint(HERE, NOW), elsewhere, NOW)


def test_nonce_of_another_key_is_refused() -> None:
    assert not NonceMint(key=b"j" * 32).is_valid(MINT.mint(HERE, NOW), HERE, NOW)


@pytest.mark.parametrize("place", range(PLAIN_BYTES))
def test_nonce_with_any_character_changed_is_refused(place: int) -> None:
    nonce = bytearray(MINT.mint(HERE, NOW))
    nonce[place] = ord("B") if nonce[place] == ord("A") else ord("A")

    assert not MINT.is_valid(bytes(nonce), HERE, NOW)


@pytest.mark.parametrize(
    "nonce", [b"", b"*" * PLAIN_BYTES, b"A" * (PLAIN_BYTES - 1), b"=" * PLAIN_BYTES, b"\xff" * 16]
)
def test_text_that_is_no_nonce_is_refused(nonce: bytes) -> None:
    assert not MINT.is_valid(nonce, HERE, NOW)
