"""Amounts of bytes as people write them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controlplane.policy.quantities import format_exact_size, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("500M", 500 << 20),
        (" 2g ", 2 << 30),
        ("1.5G", 3 << 29),
        ("2 GiB", 2 << 30),
        ("10MB", 10 << 20),
        ("1T", 1 << 40),
        ("4096", 4096),
    ],
)
def test_amount_is_read(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "M", "-1M", "1,5G", "1e9", "1P", "½G", "\u0665M", "1.5.5G", "9" * 17, "1 M x"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    assert parse_size(text) is None


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    size_bytes = parse_size(text)

    assert size_bytes is None or size_bytes >= 0


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0"), (1023, "1023"), (1024, "1K"), (500 << 20, "500M"), (3 << 29, "1.5G"), (1 << 50, "1024T")],
)
def test_amount_is_written(size_bytes: int, text: str) -> None:
    assert format_size(size_bytes) == text


@given(st.integers(1, 1023), st.sampled_from(["", "K", "M", "G", "T"]))
def test_whole_amount_is_read_as_it_was_written(count: int, unit: str) -> None:
    assert format_size(parse_size(f"{count}{unit}") or 0) == f"{count}{unit}"


@example(1_000_000_000_000_001)
@given(st.one_of(st.integers(0, 1 << 50), st.integers(0, 1 << 20).map(lambda count: count << 20)))
def test_exact_amount_loses_nothing(size_bytes: int) -> None:
    assert parse_size(format_exact_size(size_bytes)) == size_bytes


def test_exact_amount_is_as_short_as_it_can_be() -> None:
    assert [format_exact_size(size) for size in (0, 1 << 30, 3 << 29, 1025)] == ["0", "1G", "1536M", "1025"]
