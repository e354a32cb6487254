"""What operators type and servers send, read by the client: any text, and only sentences come of it."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.client import policy_commands
from controlplane.client.api import split_events, write_path
from controlplane.client.errors import ClientError, MisuseError
from controlplane.client.options import LARGEST_QUOTA_BYTES, SMALLEST_QUOTA_BYTES, is_name, parse_seconds
from controlplane.client.output import format_moment, make_printable, write_table
from controlplane.client.policy_commands import read_assignment, write_value
from controlplane.client.target import Target, read_login, read_token, read_url, write_login
from controlplane.policy import models
from nodelink.contract.states import MAX_BACKUP_ADDRESSES

ADDRESSES = st.one_of(
    st.text(max_size=60),
    st.from_regex(r"https?://[a-z0-9.:\[\]@%-]{0,30}(/[a-z?#]{0,9}){0,3}", fullmatch=True),
)


@given(ADDRESSES)
def test_address_is_read_or_refused_and_read_again_the_same(text: str) -> None:
    with suppress(MisuseError):
        url = read_url(text)
        assert read_url(url) == url
        assert url.startswith(("https://", "http://"))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://control.example.org", "https://control.example.org/api/v1"),
        (" https://Control.example.org:8443/ ", "https://control.example.org:8443/api/v1"),
        ("https://control.example.org/steer/", "https://control.example.org/steer"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443/api/v1"),
        ("http://localhost:80", "http://localhost:80/api/v1"),
        ("http://[::1]", "http://[::1]/api/v1"),
    ],
)
def test_address_leads_to_its_api(text: str, url: str) -> None:
    assert read_url(text) == url


@given(st.text(max_size=600))
def test_token_is_read_or_refused(text: str) -> None:
    with suppress(MisuseError):
        assert 1 <= len(read_token(text)) <= 512


@pytest.mark.parametrize(("length", "is_token"), [(0, False), (1, True), (512, True), (513, False)])
def test_token_has_a_length(length: int, *, is_token: bool) -> None:
    if is_token:
        assert read_token("x" * length) == "x" * length
    else:
        with pytest.raises(MisuseError):
            read_token("x" * length)


@given(st.binary(max_size=200))
def test_damaged_login_file_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed-login.json"
    file.touch(mode=0o600)
    file.write_bytes(content)
    with suppress(ClientError):
        read_login(file)


def test_login_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "a" / "login.json"
    assert read_login(file) is None
    for target in (Target("https://a.example/api/v1", "t"), Target("https://b.example/x", "u", "/ca.pem")):
        write_login(file, target)
        assert read_login(file) == target
    assert [each.name for each in file.parent.iterdir()] == ["login.json"]


def test_login_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(MisuseError, match="cannot be written"):
        write_login(tmp_path / "a" / "login.json", Target("https://a.example/api/v1", "t"))


@given(st.text(max_size=30))
def test_assignment_is_read_or_refused(text: str) -> None:
    with suppress(MisuseError):
        name, _ = read_assignment(text)
        assert name


@given(st.sampled_from(["quota_bytes", "turn_lifetime_seconds", "turn_allocations"]), st.integers(0, 1 << 50))
def test_value_is_read_as_it_is_shown(name: str, value: int) -> None:
    assert read_assignment(f"{name}={write_value(name, value)}") == (name, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("quota_bytes=2G", 2 << 30),
        ("turn_lifetime_seconds=5d", 432_000),
        ("message_retention_days=4w", 28),
        ("message_retention_days=30", 30),
        ("jit_enabled=OFF", False),
        ("jit_enabled=fleet", None),
    ],
)
def test_value_has_the_unit_of_its_name(text: str, value: object) -> None:
    assert read_assignment(text)[1] == value


@pytest.mark.parametrize("text", ["message_retention_days=12h", "turn_allocations=2G", "a=-1", "=1", "a"])
def test_value_of_another_unit_is_refused(text: str) -> None:
    with pytest.raises(MisuseError):
        read_assignment(text)


@given(st.text(max_size=12))
def test_time_is_read_or_refused(text: str) -> None:
    seconds = parse_seconds(text)
    assert seconds is None or seconds >= 0


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1), max_size=5))
def test_events_are_split_as_they_were_written(events: list[str]) -> None:
    lines = [line for event in events for line in (": ping", "id: 5", f"data: {event}", "")]
    assert list(split_events(iter(lines))) == events


@given(st.lists(st.text(max_size=20), max_size=30))
def test_any_lines_are_split(lines: list[str]) -> None:
    list(split_events(iter(lines)))


def test_event_of_several_lines_is_one_and_an_unfinished_one_none() -> None:
    assert list(split_events(iter(["data: a", "data:b", "", "data: c"]))) == ["a\nb"]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_path_is_not_left_by_a_name(name: str) -> None:
    with pytest.raises(MisuseError):
        write_path("nodes", name)
    assert write_path("nodes", "a/b?c#d@e") == "/nodes/a%2Fb%3Fc%23d@e"


@pytest.mark.parametrize(("length", "is_right"), [(0, False), (1, True), (63, True), (64, False)])
def test_name_has_a_length(length: int, *, is_right: bool) -> None:
    assert is_name("a" * length) is is_right


def test_quota_has_the_limits_of_the_server() -> None:
    assert (SMALLEST_QUOTA_BYTES, LARGEST_QUOTA_BYTES) == (
        models.SMALLEST_QUOTA_BYTES,
        models.LARGEST_QUOTA_BYTES,
    )
    assert policy_commands.MAX_BACKUP_ADDRESSES == MAX_BACKUP_ADDRESSES


@given(st.integers())
def test_any_moment_is_written(seconds: int) -> None:
    assert format_moment(seconds)


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=5))
def test_table_has_a_line_for_each_row(rows: list[tuple[str, str]]) -> None:
    assert len(write_table(("A", "B"), rows).split("\n")) == len(rows) + 1
    assert json.loads(json.dumps(make_printable("\x1b\x9b\u202e"))) == "???"
