"""Whatever an exchanger answers, it is a list of messages that are whole, or it is refused."""

import json
from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st

from mailnode.federation.delivery import MAX_RECIPIENTS
from mailnode.peering.waiting_mail import MAX_MESSAGES, StrangeListError, read_waiting

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
ENTRIES = st.fixed_dictionaries(
    {"id": LEAVES, "from": LEAVES, "to": LEAVES | st.lists(LEAVES, max_size=3), "body": LEAVES}
)
ADDRESSES = st.sampled_from(["a@b.example", "c@[192.0.2.1]", "d@e.example"])


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        read_waiting(content)
    except StrangeListError:
        return


@given(
    JSON | st.lists(ENTRIES, max_size=4) | st.fixed_dictionaries({"messages": st.lists(ENTRIES, max_size=4)})
)
def test_any_json_is_read_or_refused(document: object) -> None:
    try:
        found = read_waiting(json.dumps(document).encode()).messages
    except StrangeListError:
        return
    for each in found:
        assert each.id
        assert each.problem is not None or (each.recipients and each.body)


@given(st.text(alphabet="ab\n", min_size=1, max_size=30), st.lists(ADDRESSES, min_size=1, max_size=5))
def test_message_that_is_whole_is_read_back_with_lines_as_mail_has_them(
    text: str, recipients: list[str]
) -> None:
    entry = {"id": 7, "from": "<x@y.example>", "to": recipients, "body": b64encode(text.encode()).decode()}

    for document in ([entry], {"hash": "x", "count": 1, "messages": [entry]}):
        (found,) = read_waiting(json.dumps(document).encode()).messages
        assert (found.id, found.mail_from, found.problem) == ("7", "x@y.example", None)
        assert found.body == text.replace("\n", "\r\n").encode()
        assert found.recipients == tuple(dict.fromkeys(recipients))


def test_limits_hold_at_and_beyond_them() -> None:
    entry = {"id": "1", "from": "", "to": "a@b.example", "body": "YQ=="}
    assert len(read_waiting(json.dumps([entry] * (MAX_MESSAGES + 1)).encode()).messages) == MAX_MESSAGES
    for count, is_whole in ((MAX_RECIPIENTS, True), (MAX_RECIPIENTS + 1, False)):
        many = entry | {"to": [f"u{number}@b.example" for number in range(count)]}
        (found,) = read_waiting(json.dumps([many]).encode()).messages
        assert (found.problem is None) is is_whole
    for length, is_known in ((200, True), (201, False)):
        assert len(read_waiting(json.dumps([entry | {"id": "x" * length}]).encode()).messages) == is_known
    assert read_waiting(b'{"count": 0, "messages": null}').messages == []
