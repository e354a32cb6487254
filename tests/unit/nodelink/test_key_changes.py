"""A chain of key changes leads forward, in its order, and nowhere else."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodelink.contract.documents import DocumentType, sign_document
from nodelink.contract.errors import ContractError, MalformedError, MisaddressedError, UnsignedError
from nodelink.contract.key_changes import KeyChange, follow_key_change, sign_key_change
from nodelink.contract.keys import PrivateKey, PublicKey
from nodelink.contract.operations import Operation

NOW = 1_800_000_000
KEYS = [PrivateKey.generate() for _ in range(5)]
STRANGER = PrivateKey.generate()
PUBLIC = [key.public for key in KEYS]
CHAIN = [sign_key_change(former, following.public, NOW) for former, following in pairwise(KEYS)]


def follow(trusted: tuple[PublicKey, ...], documents: list[str]) -> tuple[PublicKey, ...]:
    for document in documents:
        trusted = follow_key_change(document, trusted)
    return trusted


def test_both_keys_are_trusted_until_the_next_one_signs() -> None:
    assert follow((PUBLIC[0],), CHAIN[:1]) == (PUBLIC[0], PUBLIC[1])


@given(st.integers(0, 4), st.integers(0, 4))
def test_chain_leads_from_any_key_to_any_later_one(first: int, last: int) -> None:
    if first < last:
        assert follow((PUBLIC[first],), CHAIN[first:last]) == (PUBLIC[last - 1], PUBLIC[last])


def test_change_that_was_followed_already_changes_nothing() -> None:
    trusted = (PUBLIC[0], PUBLIC[1])

    assert follow(trusted, [CHAIN[0], CHAIN[0]]) == trusted


@given(st.lists(st.sampled_from(CHAIN), max_size=12), st.integers(0, 4))
def test_nothing_that_is_replayed_leads_back(documents: list[str], start: int) -> None:
    trusted: tuple[PublicKey, ...] = (PUBLIC[start],)
    for document in documents:
        newest = PUBLIC.index(trusted[-1])
        try:
            trusted = follow_key_change(document, trusted)
        except ContractError:
            continue
        assert PUBLIC.index(trusted[-1]) in {newest, newest + 1}
        assert PUBLIC.index(trusted[0]) >= newest - 1


def test_link_that_is_left_out_breaks_the_chain() -> None:
    with pytest.raises(UnsignedError):
        follow((PUBLIC[0],), [CHAIN[1]])


def test_second_successor_is_refused() -> None:
    rival = sign_key_change(KEYS[0], STRANGER.public, NOW)

    with pytest.raises(MisaddressedError, match="another one follows already"):
        follow((PUBLIC[0], PUBLIC[1]), [rival])


def test_key_that_speaks_for_a_newer_one_is_refused() -> None:
    change = KeyChange(former_key=PUBLIC[1].x, next_key=STRANGER.public.x, issued_at_seconds=NOW)
    forged = sign_document(KEYS[0], DocumentType.KEY_CHANGE, change)

    with pytest.raises(UnsignedError):
        follow((PUBLIC[0], PUBLIC[1]), [forged])


def test_change_by_a_stranger_is_refused() -> None:
    with pytest.raises(UnsignedError, match="not trusted here"):
        follow((PUBLIC[0],), [sign_key_change(STRANGER, PUBLIC[1], NOW)])


def test_stranger_who_names_a_trusted_key_is_refused() -> None:
    change = KeyChange(former_key=PUBLIC[0].x, next_key=STRANGER.public.x, issued_at_seconds=NOW)

    with pytest.raises(UnsignedError):
        follow((PUBLIC[0],), [sign_document(STRANGER, DocumentType.KEY_CHANGE, change)])


def test_other_document_never_passes_for_a_key_change() -> None:
    operation = Operation(
        id="o" * 10, node="mail1", name="x", arguments={}, issued_at_seconds=NOW, expires_at_seconds=NOW
    )
    for document_type in (DocumentType.OPERATION, DocumentType.DESIRED_STATE):
        with pytest.raises(MisaddressedError):
            follow((PUBLIC[0],), [sign_document(KEYS[0], document_type, operation)])


def test_change_to_what_is_no_key_is_refused() -> None:
    change = KeyChange.model_construct(former_key=PUBLIC[0].x, next_key="no key", issued_at_seconds=NOW)

    with pytest.raises(MalformedError, match="next_key"):
        follow((PUBLIC[0],), [sign_document(KEYS[0], DocumentType.KEY_CHANGE, change)])


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
def test_changed_document_is_refused(place: int, change: bytes) -> None:
    document = CHAIN[0].encode()
    place %= len(document) - 3  # the last characters of base64url hold bits that do not count
    changed = document[:place] + change + document[place + len(change) :]

    if changed != document:
        with pytest.raises(ContractError):
            follow_key_change(changed.decode("latin-1"), (PUBLIC[0],))


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,3}", fullmatch=True))
def test_garbage_is_a_clean_error(text: str) -> None:
    with pytest.raises(ContractError):
        follow_key_change(text, (PUBLIC[0],))
