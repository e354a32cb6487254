"""Which language a visitor gets, and how sizes are written in it."""

# ruff: noqa: RUF001 - Persian digits are what is tested

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.http.language import NO_BREAK_SPACE, Language, choose_language, write_number, write_size

EN, FA = Language.EN, Language.FA


@pytest.mark.parametrize(
    ("asked", "accepted", "default", "chosen"),
    [
        ("fa", "en", EN, FA),
        ("en", "fa", FA, EN),
        ("xx", "fa", EN, FA),
        ("", "fa", EN, FA),
        (None, "fa-IR,fa;q=0.9,en;q=0.8", EN, FA),
        (None, "en-US,en;q=0.9,fa;q=0.8", FA, EN),
        (None, "de, fa;q=0.3, en;q=0.7", FA, EN),
        (None, "en;q=0.5,fa", EN, FA),
        (None, "en ; q=0.5 , FA-ir", EN, FA),
        (None, "fa;q=0", EN, EN),
        (None, "fa;q=0.000, en;q=0.001", FA, EN),
        (None, "de,fr;q=0.5", FA, FA),
        (None, "*", FA, FA),
        (None, "", FA, FA),
        (None, "fa;q=2, en;q=0.1", FA, EN),
        (None, "fa;q=0.1234, en;q=0.1", FA, EN),
        (None, "fab", EN, EN),
        (None, ";;q=,,=fa", EN, EN),
    ],
)
def test_language_is_asked_for_then_preferred_then_default(
    asked: str | None, accepted: str, default: Language, chosen: Language
) -> None:
    assert choose_language(asked, accepted, default) is chosen


@given(st.none() | st.text(), st.text() | st.text("enfa;q=0.1,*- "), st.sampled_from(Language))
def test_any_header_gives_a_language(asked: str | None, accepted: str, default: Language) -> None:
    assert choose_language(asked, accepted, default) in Language


def test_each_language_has_the_direction_of_its_script() -> None:
    assert (EN.direction, FA.direction) == ("ltr", "rtl")


@pytest.mark.parametrize(
    ("size_bytes", "in_english", "in_persian"),
    [
        (0, "0 B", "۰ بایت"),
        (1023, "1023 B", "۱۰۲۳ بایت"),
        (1024, "1 KiB", "۱ کیلوبایت"),
        (500 << 20, "500 MiB", "۵۰۰ مگابایت"),
        (1 << 30, "1 GiB", "۱ گیگابایت"),
        (3 << 29, "1.5 GiB", "۱٫۵ گیگابایت"),
        (1 << 50, "1024 TiB", "۱۰۲۴ ترابایت"),
    ],
)
def test_sizes_are_written_in_their_largest_fitting_unit(
    size_bytes: int, in_english: str, in_persian: str
) -> None:
    assert write_size(size_bytes, EN) == in_english.replace(" ", NO_BREAK_SPACE)
    assert write_size(size_bytes, FA) == in_persian.replace(" ", NO_BREAK_SPACE)


def test_english_numbers_stay_as_they_are() -> None:
    assert write_number("3.5", EN) == "3.5"
