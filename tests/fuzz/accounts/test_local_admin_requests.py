"""Whatever stands on a line, it is a request or a clear error."""

import json

from hypothesis import given
from hypothesis import strategies as st

from mailnode.local_admin.errors import LocalAdminError
from mailnode.local_admin.requests import parse_request
from mailnode.local_admin.tables import parse_size, show_record, show_size, show_table

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
field_names = st.sampled_from(
    [
        "address",
        "password",
        "is_banned",
        "quota_bytes",
        "limit",
        "after",
        "settings",
        "registration_open",
        "x",
    ]
)
commands = st.sampled_from(
    [
        "list_accounts",
        "show_account",
        "create_account",
        "delete_account",
        "change_password",
        "change_ban",
        "change_quota",
        "show_settings",
        "change_settings",
        "clear_settings",
        "show_status",
        "x",
    ]
)
almost_requests = st.builds(
    lambda command, fields: json.dumps({**fields, "command": command}).encode(),
    commands,
    st.dictionaries(field_names, json_values, max_size=3),
)


@given(almost_requests | st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_line_is_a_request_or_a_clear_error(line: bytes) -> None:
    try:
        request = parse_request(line)
    except LocalAdminError as error:
        text = str(error)
        assert text.startswith("The request is not understood: ")
        assert "\n" not in text
        return

    assert parse_request(request.model_dump_json().encode()) == request


@given(st.text(alphabet="0123456789kKmMgGtTiIbB .-x", max_size=12))
def test_size_is_a_whole_number_or_an_error(text: str) -> None:
    try:
        size_bytes = parse_size(text)
    except ValueError:
        return

    assert size_bytes >= 0
    assert show_size(size_bytes).split()[1] in {"B", "KiB", "MiB", "GiB", "TiB"}


@given(st.lists(st.dictionaries(field_names, json_values, max_size=4), max_size=4))
def test_whatever_a_daemon_says_can_be_shown(rows: list[dict[str, object]]) -> None:
    values = json.loads(json.dumps(rows))

    assert len(show_table(values, {"address": "ADDRESS", "x": "X"}).split("\n")) >= len(rows) + 1
    for row in values:
        assert isinstance(show_record(row), str)
