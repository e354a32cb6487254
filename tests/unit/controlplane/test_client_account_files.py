"""Files of accounts, as other programs and other servers write them."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.client.account_files import MAX_BATCH, MAX_BATCH_BYTES, read_accounts, split_accounts
from controlplane.client.errors import MisuseError
from controlplane.http_limits import MAX_BODY_BYTES

ALICE = {"address": "alice@example.org", "password_hash": "x"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(st.sampled_from(["address", "username", "hash", "password", "users", "x"]), values)
    ),
    max_leaves=9,
)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(MisuseError):
        assert read_accounts(text)


@given(VALUES)
def test_any_document_is_read_or_refused(value: object) -> None:
    with suppress(MisuseError):
        for account in read_accounts(json.dumps(value)):
            assert set(account) in ({"address", "password"}, {"address", "password_hash"})


@pytest.mark.parametrize(
    "text",
    [
        '{"users": [{"username": "alice@example.org", "hash": "x"}]}',
        '[{"address": "alice@example.org", "password_hash": "x", "password": null}]',
        '{"address": "alice@example.org", "password_hash": "x"}',
        '\n{"address": "alice@example.org", "password_hash": "x"}\n\n',
    ],
)
def test_each_form_is_read(text: str) -> None:
    assert read_accounts(text) == [ALICE]


def test_lines_are_read_in_their_order() -> None:
    lines = [{"address": f"a{number}@example.org", "password": "p"} for number in range(3)]
    assert read_accounts("\n".join(json.dumps(line) for line in lines)) == lines


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "no account"),
        ("[]", "no account"),
        ("5", "entry 1"),
        ('{"address": "a@example.org"}', "entry 1"),
        ('[{"address": "a@example.org", "password": "p"}, {"password": "p"}]', "entry 2"),
        ('{"address": "a", "password": "p"}\n{"address": "b", "password": "p", "hash": "h"}', "line 2"),
        ('{"address": "a", "password": "p"}\n{', "Line 2"),
        ('{"address": 5, "password": "p"}', "entry 1"),
        ("[" * 100_000, "JSON|nested"),
    ],
)
def test_refusal_names_the_place(text: str, where: str) -> None:
    with pytest.raises(MisuseError, match=where):
        read_accounts(text)


@given(st.lists(st.integers(0, 9000), max_size=40))
def test_batches_hold_each_account_once_and_fit_into_a_request(lengths: list[int]) -> None:
    accounts = [{"address": f"a{number}", "password": "p" * length} for number, length in enumerate(lengths)]

    batches = list(split_accounts(accounts))

    assert [account for batch in batches for account in batch] == accounts
    for batch in batches:
        assert len(json.dumps({"accounts": batch})) < MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("count", "batches"), [(MAX_BATCH - 1, 1), (MAX_BATCH, 1), (MAX_BATCH + 1, 2), (0, 0)]
)
def test_batch_has_a_number_of_accounts(count: int, batches: int) -> None:
    assert len(list(split_accounts([{"address": "a"}] * count))) == batches


@pytest.mark.parametrize(("size_bytes", "batches"), [(-1, 1), (0, 1), (1, 2)])
def test_batch_has_a_size(size_bytes: int, batches: int) -> None:
    empty = len(json.dumps({"address": ""})) + 2
    half = MAX_BATCH_BYTES // 2
    accounts = [{"address": "a" * (half - empty)}, {"address": "a" * (half - empty + size_bytes)}]
    assert len(list(split_accounts(accounts))) == batches
