"""Whatever is sent as a redemption or answered to one is read or refused, and nothing else happens."""

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from mailnode.http.shown_token import find_token
from nodelink.contract.errors import MalformedError
from nodelink.contract.registration import (
    MAX_TOKEN_CHARACTERS,
    MadeAccount,
    Redemption,
    RedemptionAnswer,
    RefusalReason,
    RefusedRedemption,
    read_redemption,
    read_redemption_answer,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=70),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["token", "account", "refused", "reason", "origin", "address"]), inner
        )
    ),
    max_leaves=8,
)
CONTENT = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())


@given(CONTENT)
def test_any_content_is_a_redemption_or_refused(content: bytes) -> None:
    with suppress(MalformedError):
        assert 1 <= len(read_redemption(content).token) <= MAX_TOKEN_CHARACTERS


@given(CONTENT)
def test_any_content_is_an_answer_or_refused(content: bytes) -> None:
    with suppress(MalformedError):
        answer = read_redemption_answer(content)
        assert (answer.account is None) != (answer.refused is None)


@given(CONTENT, st.sampled_from(["application/json", "application/x-www-form-urlencoded", "", "\0;"]))
def test_any_body_shows_a_token_or_none(content: bytes, content_type: str) -> None:
    token = find_token({}, content_type, content)

    assert token is None or token


@given(st.text(min_size=1, max_size=MAX_TOKEN_CHARACTERS).filter(lambda text: text.isprintable()))
def test_redemption_that_is_written_is_read(token: str) -> None:
    written = Redemption(token=token)

    assert read_redemption(written.model_dump_json().encode()) == written


@given(
    st.builds(MadeAccount, address=st.just("a@example.org"), password=st.just("secret")).map(
        lambda account: RedemptionAnswer(account=account)
    )
    | st.builds(
        RefusedRedemption,
        reason=st.sampled_from(RefusalReason),
        origin=st.none() | st.just("https://control.example.org:8443"),
    ).map(lambda refused: RedemptionAnswer(refused=refused))
)
def test_answer_that_is_written_is_read(answer: RedemptionAnswer) -> None:
    assert read_redemption_answer(answer.model_dump_json().encode()) == answer
