"""What control plane and node can rely on: only what is signed, for them, and now."""

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt

from nodelink.contract.assertions import (
    CLOCK_SKEW_SECONDS,
    VALID_FOR_SECONDS,
    check_assertion,
    make_assertion,
    read_claimed_node,
)
from nodelink.contract.documents import DocumentType, sign_document
from nodelink.contract.enrolment import JoinToken, read_join_token, write_join_token
from nodelink.contract.errors import ContractError, MalformedError, MisaddressedError, UnsignedError
from nodelink.contract.keys import ALGORITHM, PrivateKey, PublicKey
from nodelink.contract.operations import VALID_FOR_SECONDS as OPERATION_SECONDS
from nodelink.contract.operations import Operation, open_operation
from nodelink.contract.reports import Report
from nodelink.contract.states import DesiredState, MailNodeState, TurnAccess, open_desired_state

NODE_KEY = PrivateKey.generate()
CONTROL_KEY = PrivateKey.generate()
STRANGER = PrivateKey.generate()
AUDIENCE = "https://control.example.org"
NOW = 1_800_000_000
STATE = MailNodeState(
    registration_open=True, jit_enabled=True, quota_bytes=1 << 30, message_bytes=1 << 25, turn=None
)
DESIRED = DesiredState(
    node="mail1", revision=1, issued_at_seconds=NOW, trusted_keys=(CONTROL_KEY.public.x,), state=STATE
)

OPERATION = Operation(
    id="o" * 10,
    node="mail1",
    name="remove",
    arguments={"a": 1},
    issued_at_seconds=NOW,
    expires_at_seconds=NOW + OPERATION_SECONDS,
)


def asserted(audience: str = AUDIENCE, now_seconds: int = NOW) -> str:
    return make_assertion(NODE_KEY, node="mail1", audience=audience, now_seconds=now_seconds)


def test_assertion_names_its_node_and_is_checked_by_its_key() -> None:
    assertion = asserted()

    assert read_claimed_node(assertion) == "mail1"
    assert check_assertion(assertion, NODE_KEY.public, audience=AUDIENCE, now_seconds=NOW).node == "mail1"


def test_assertion_by_another_key_is_refused() -> None:
    with pytest.raises(UnsignedError):
        check_assertion(asserted(), STRANGER.public, audience=AUDIENCE, now_seconds=NOW)


def test_assertion_for_another_control_plane_is_refused() -> None:
    with pytest.raises(MisaddressedError):
        check_assertion(
            asserted("https://else.example.org"), NODE_KEY.public, audience=AUDIENCE, now_seconds=NOW
        )


@pytest.mark.parametrize(
    ("after_seconds", "is_valid"),
    [
        (-CLOCK_SKEW_SECONDS - 1, False),
        (-CLOCK_SKEW_SECONDS, True),
        (VALID_FOR_SECONDS + CLOCK_SKEW_SECONDS - 1, True),
        (VALID_FOR_SECONDS + CLOCK_SKEW_SECONDS, False),
    ],
)
def test_assertion_holds_for_its_minute_and_the_skew_of_clocks(after_seconds: int, is_valid: bool) -> None:
    assertion = asserted()
    if is_valid:
        check_assertion(assertion, NODE_KEY.public, audience=AUDIENCE, now_seconds=NOW + after_seconds)
    else:
        with pytest.raises(MisaddressedError, match="clocks"):
            check_assertion(assertion, NODE_KEY.public, audience=AUDIENCE, now_seconds=NOW + after_seconds)


@pytest.mark.parametrize(
    "change",
    [{"iat": NOW - 100}, {"jti": "short"}, {"sub": "mail2"}, {"iat": None}, {"exp": "soon"}, {"aud": None}],
)
def test_assertion_with_a_wrong_claim_is_refused(change: dict[str, object]) -> None:
    claims = {"iss": "mail1", "sub": "mail1", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 60, "jti": "j" * 20}
    assertion = jwt.encode({"alg": ALGORITHM}, claims | change, NODE_KEY.jwk, algorithms=[ALGORITHM])

    with pytest.raises(ContractError):
        check_assertion(assertion, NODE_KEY.public, audience=AUDIENCE, now_seconds=NOW)


def test_assertion_without_a_signature_is_refused() -> None:
    header, payload, _ = asserted().split(".")
    unsigned = urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")

    for forged in (f"{unsigned}.{payload}.", f"{header}.{payload}."):
        with pytest.raises(UnsignedError):
            check_assertion(forged, NODE_KEY.public, audience=AUDIENCE, now_seconds=NOW)


@given(st.text())
def test_anything_else_is_no_assertion(text: str) -> None:
    for forged in (text, f"a.{text}.b"):
        with pytest.raises(MalformedError):
            read_claimed_node(forged)


def test_desired_state_is_read_back_by_its_node() -> None:
    document = sign_document(CONTROL_KEY, DocumentType.DESIRED_STATE, DESIRED)

    assert open_desired_state(document, (STRANGER.public, CONTROL_KEY.public), "mail1") == DESIRED


def test_desired_state_by_a_stranger_is_refused() -> None:
    document = sign_document(STRANGER, DocumentType.DESIRED_STATE, DESIRED)

    with pytest.raises(UnsignedError):
        open_desired_state(document, (CONTROL_KEY.public,), "mail1")


def test_desired_state_for_another_node_is_refused() -> None:
    document = sign_document(CONTROL_KEY, DocumentType.DESIRED_STATE, DESIRED)

    with pytest.raises(MisaddressedError):
        open_desired_state(document, (CONTROL_KEY.public,), "mail2")


def test_operation_never_passes_for_a_desired_state() -> None:
    document = sign_document(CONTROL_KEY, DocumentType.OPERATION, DESIRED)

    with pytest.raises(MisaddressedError):
        open_desired_state(document, (CONTROL_KEY.public,), "mail1")


def test_operation_is_read_back_by_its_node_only() -> None:
    document = sign_document(CONTROL_KEY, DocumentType.OPERATION, OPERATION)

    assert open_operation(document, (CONTROL_KEY.public,), "mail1", NOW) == OPERATION
    with pytest.raises(MisaddressedError, match="is for mail1"):
        open_operation(document, (CONTROL_KEY.public,), "mail2", NOW)


@pytest.mark.parametrize(
    ("after_seconds", "is_valid"),
    [
        (-CLOCK_SKEW_SECONDS - 1, False),
        (-CLOCK_SKEW_SECONDS, True),
        (OPERATION_SECONDS + CLOCK_SKEW_SECONDS - 1, True),
        (OPERATION_SECONDS + CLOCK_SKEW_SECONDS, False),
    ],
)
def test_operation_holds_for_its_time_and_the_skew_of_clocks(after_seconds: int, is_valid: bool) -> None:
    document = sign_document(CONTROL_KEY, DocumentType.OPERATION, OPERATION)
    if is_valid:
        open_operation(document, (CONTROL_KEY.public,), "mail1", NOW + after_seconds)
    else:
        with pytest.raises(MisaddressedError, match="an old one"):
            open_operation(document, (CONTROL_KEY.public,), "mail1", NOW + after_seconds)


@pytest.mark.parametrize(("surplus", "is_valid"), [(-1, True), (0, True), (1, False)])
def test_operation_may_not_be_valid_for_longer_than_the_contract_says(surplus: int, is_valid: bool) -> None:
    longer = OPERATION.model_copy(update={"expires_at_seconds": NOW + OPERATION_SECONDS + surplus})
    document = sign_document(CONTROL_KEY, DocumentType.OPERATION, longer)
    if is_valid:
        open_operation(document, (CONTROL_KEY.public,), "mail1", NOW)
    else:
        with pytest.raises(MisaddressedError, match="too long"):
            open_operation(document, (CONTROL_KEY.public,), "mail1", NOW)


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
def test_changed_document_is_refused(place: int, change: bytes) -> None:
    document = sign_document(CONTROL_KEY, DocumentType.DESIRED_STATE, DESIRED).encode()
    place %= len(document) - 3  # the last characters of base64url hold bits that do not count
    changed = document[:place] + change + document[place + len(change) :]

    if changed != document:
        with pytest.raises(ContractError):
            open_desired_state(changed.decode("latin-1"), (CONTROL_KEY.public,), "mail1")


def test_state_of_a_newer_control_plane_is_understood() -> None:
    newer = json.loads(DESIRED.model_dump_json())
    newer["state"]["smells_enabled"] = True

    assert DesiredState.model_validate(newer) == DESIRED


@pytest.mark.parametrize(("residue", "is_valid"), [(15, True), (16, False)])
def test_residue_is_below_its_modulus(residue: int, is_valid: bool) -> None:
    fields = {"host": "turn.example.org", "port": 3478, "secret": "s" * 16, "modulus": 16}
    try:
        TurnAccess.model_validate(fields | {"residue": residue, "lifetime_seconds": 432_000})
    except ValueError:
        assert not is_valid
    else:
        assert is_valid


@pytest.mark.parametrize("url", ["https://control.example.org", "https://[2001:db8::1]:8443"])
def test_join_token_is_one_word_that_is_read_back(url: str) -> None:
    token = JoinToken(url=url, secret="s" * 32, tls_pin="a" * 64)
    word = write_join_token(token)

    assert word.split() == [word]
    assert read_join_token(f" {word}\n") == token


@given(st.integers(0, 200))
def test_join_token_that_was_not_copied_whole_is_refused(length: int) -> None:
    word = write_join_token(JoinToken(url=AUDIENCE, secret="s" * 32, tls_pin=None))

    with pytest.raises(MalformedError):
        read_join_token(word[: min(length, len(word) - 1)])


@pytest.mark.parametrize("x", ["", "abc", "a" * 42, "a" * 44, "a" * 1000, "é" * 43])
def test_what_is_no_key_is_refused(x: str) -> None:
    with pytest.raises(MalformedError):
        PublicKey(x)


def test_private_key_is_read_back_from_its_file_form() -> None:
    assert PrivateKey.from_pem(NODE_KEY.to_pem()).public == NODE_KEY.public


@pytest.mark.parametrize(
    "pem", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff"]
)
def test_damaged_key_file_is_refused(pem: bytes) -> None:
    with pytest.raises(MalformedError):
        PrivateKey.from_pem(pem)


def test_assertion_says_what_it_is_about() -> None:
    assertion = make_assertion(
        NODE_KEY, node="mail1", audience=AUDIENCE, now_seconds=NOW, content_digest="digest"
    )

    checked = check_assertion(assertion, NODE_KEY.public, audience=AUDIENCE, now_seconds=NOW)
    assert checked.content_digest == "digest"
    assert (
        check_assertion(asserted(), NODE_KEY.public, audience=AUDIENCE, now_seconds=NOW).content_digest
        is None
    )


def test_report_and_state_of_an_older_version_are_read() -> None:
    older = {
        "kind": "mail",
        "software_version": "0.1.0",
        "applied_revision": 1,
        "started_at_seconds": NOW,
        "public_name": "mail.example.org",
        "public_port": 443,
        "overrides": [],
        "problems": [],
        "figures": {},
    }
    state = STATE.model_dump(exclude={"siblings"})

    assert Report.model_validate(older).places is None
    assert MailNodeState.model_validate(state).siblings == ()
