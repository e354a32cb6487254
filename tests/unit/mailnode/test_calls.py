"""TURN credentials: long enough for apps, one for each account, never shared by two mail nodes."""

from base64 import b64encode
from hashlib import sha1
from hmac import digest

from hypothesis import given
from hypothesis import strategies as st

from mailnode.calls import SHORTEST_LIFETIME_SECONDS, choose_expiry, make_turn_entry
from nodelink.contract.states import TurnAccess

accesses = st.builds(
    lambda modulus, residue, days: TurnAccess(
        host="turn.example.org",
        port=3478,
        secret="s" * 32,
        residue=residue % modulus,
        modulus=modulus,
        lifetime_seconds=days * 86_400,
    ),
    st.integers(1, 4096),
    st.integers(0, 4095),
    st.integers(2, 30),
)
accounts = st.integers(1, 1 << 40)
moments = st.integers(1_700_000_000, 2_000_000_000)


@given(accounts, accesses, moments)
def test_credential_lives_long_enough_and_not_too_long(
    account: int, access: TurnAccess, now_seconds: int
) -> None:
    lifetime_seconds = choose_expiry(account, access, now_seconds) - now_seconds

    assert SHORTEST_LIFETIME_SECONDS <= lifetime_seconds <= access.lifetime_seconds


@given(accounts, accounts, accesses, st.integers(1, 4095), moments, moments)
def test_two_mail_nodes_never_hand_out_the_same(  # noqa: PLR0917 - two of everything
    one: int, other: int, access: TurnAccess, step: int, now_seconds: int, then_seconds: int
) -> None:
    residue = (access.residue + step) % access.modulus
    sibling = access.model_copy(update={"residue": residue})

    if residue != access.residue:
        assert choose_expiry(one, access, now_seconds) != choose_expiry(other, sibling, then_seconds)


@given(st.integers(1, 1 << 40), accesses, moments)
def test_neighbouring_accounts_of_a_node_have_different_ones(
    first: int, access: TurnAccess, now_seconds: int
) -> None:
    slots = (access.lifetime_seconds - SHORTEST_LIFETIME_SECONDS) // access.modulus
    count = min(slots, 50)
    expiries = {choose_expiry(account, access, now_seconds) for account in range(first, first + count)}

    assert len(expiries) == count


@given(accounts, accesses, moments, st.integers(0, 3600))
def test_account_keeps_its_credential_while_it_is_long_enough(
    account: int, access: TurnAccess, now_seconds: int, later_seconds: int
) -> None:
    expiry = choose_expiry(account, access, now_seconds)

    if expiry - now_seconds - later_seconds >= SHORTEST_LIFETIME_SECONDS:
        assert choose_expiry(account, access, now_seconds + later_seconds) == expiry


def test_entry_is_what_delta_chat_splits_at_its_first_three_colons() -> None:
    access = TurnAccess(
        host="192.0.2.5", port=3478, secret="s" * 32, residue=1, modulus=16, lifetime_seconds=432_000
    )
    host, port, expiry, password = make_turn_entry(7, access, 1_800_000_000).split(":", 3)

    assert (host, port) == ("192.0.2.5", "3478")
    assert password == b64encode(digest(b"s" * 32, expiry.encode(), sha1)).decode()
