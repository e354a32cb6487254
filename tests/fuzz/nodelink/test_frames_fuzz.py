"""Whatever arrives on a channel, it is a frame or a clean error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodelink.contract.errors import MalformedError
from nodelink.contract.frames import (
    MAX_FRAME_BYTES,
    MAX_KEY_CHANGES,
    Answer,
    Desired,
    Done,
    Hello,
    KeyChanges,
    Query,
    read_frame_from_control_plane,
    read_frame_from_node,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ids = st.text(max_size=64)
from_node = (
    st.builds(
        Hello,
        applied_revision=st.integers(0, 1 << 40),
        software_version=ids,
        trusted_keys=st.lists(ids, max_size=4).map(tuple),
    )
    | st.builds(Answer, id=ids, result=json_values, problem=st.none() | st.text(max_size=1000))
    | st.builds(Done, operation=ids, problem=st.none() | st.text(max_size=1000))
)
from_control_plane = (
    st.builds(Desired, document=st.text())
    | st.builds(KeyChanges, documents=st.lists(st.text(), min_size=1, max_size=5).map(tuple))
    | st.builds(
        Query, id=ids, name=ids, arguments=st.dictionaries(st.text(max_size=8), json_values, max_size=4)
    )
)
field_names = st.sampled_from(
    ["type", "id", "report", "document", "documents", "applied_revision", "trusted_keys", "result", "name"]
)
frame_like = st.dictionaries(
    field_names,
    json_values | st.sampled_from(["hello", "report", "desired", "key_changes", "query", "answer"]),
    max_size=6,
)


@given(from_node)
def test_frame_of_a_node_is_read_back(frame: Hello | Answer | Done) -> None:
    assert read_frame_from_node(frame.model_dump_json()) == frame


@given(from_control_plane)
def test_frame_of_the_control_plane_is_read_back(frame: Desired | KeyChanges | Query) -> None:
    assert read_frame_from_control_plane(frame.model_dump_json()) == frame


@given(st.binary() | st.text() | frame_like.map(json.dumps))
def test_garbage_is_a_clean_error_or_a_frame(text: bytes | str) -> None:
    for read in (read_frame_from_node, read_frame_from_control_plane):
        try:
            read(text)
        except MalformedError:
            continue


@pytest.mark.parametrize(("surplus", "is_read"), [(-1, True), (0, True), (1, False)])
def test_frame_may_be_as_large_as_the_limit(surplus: int, is_read: bool) -> None:
    empty = len(Desired(document="").model_dump_json())
    text = Desired(document="d" * (MAX_FRAME_BYTES + surplus - empty)).model_dump_json()

    if is_read:
        read_frame_from_control_plane(text)
    else:
        with pytest.raises(MalformedError):
            read_frame_from_control_plane(text)


@pytest.mark.parametrize(
    ("count", "is_read"), [(0, False), (1, True), (MAX_KEY_CHANGES, True), (MAX_KEY_CHANGES + 1, False)]
)
def test_frame_holds_so_many_key_changes(count: int, *, is_read: bool) -> None:
    text = json.dumps({"type": "key_changes", "documents": ["d"] * count})

    if is_read:
        assert read_frame_from_control_plane(text) == KeyChanges(documents=("d",) * count)
    else:
        with pytest.raises(MalformedError):
            read_frame_from_control_plane(text)
