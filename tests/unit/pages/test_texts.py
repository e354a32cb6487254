"""Every language says everything."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import pytest

from mailnode.http.language import Language
from mailnode.http.refusals import STATUS, Refusal
from mailnode.http.texts import TEXTS, Texts

ZWNJ = "\N{ZERO WIDTH NON-JOINER}"


def every_text(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """Walk through texts, however they are nested, with the place of each."""
    if isinstance(value, str):
        yield place, value
    elif is_dataclass(value):
        for one in fields(value):
            yield from every_text(getattr(value, one.name), f"{place}.{one.name}")
    elif isinstance(value, Mapping):
        for key, one_value in value.items():
            yield from every_text(one_value, f"{place}[{key}]")
    elif isinstance(value, tuple):
        for number, one_value in enumerate(value):
            yield from every_text(one_value, f"{place}[{number}]")
    else:
        raise TypeError(place)


def test_every_language_has_texts() -> None:
    assert set(TEXTS) == set(Language)


def test_languages_have_the_same_places_to_fill() -> None:
    places = [{place for place, _ in every_text(texts)} for texts in TEXTS.values()]

    assert places[0] == places[1]


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_no_text_is_empty_or_padded(texts: Texts) -> None:
    assert [place for place, text in every_text(texts) if not text or text != text.strip()] == []


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_every_refusal_has_a_text_and_a_status(texts: Texts) -> None:
    assert set(texts.refusals) == set(STATUS) == set(Refusal)


def test_persian_texts_are_persian() -> None:
    english = dict(every_text(TEXTS[Language.EN]))
    same = [place for place, text in every_text(TEXTS[Language.FA]) if text == english[place]]
    arabic_letters = [place for place, text in every_text(TEXTS[Language.FA]) if set("يك") & set(text)]

    assert same == arabic_letters == []


def test_zero_width_non_joiner_stands_only_between_letters() -> None:
    wrong = [
        place
        for place, text in every_text(TEXTS[Language.FA])
        for before, sign, after in zip(text, text[1:], text[2:], strict=False)
        if sign == ZWNJ and not (before.isalpha() and after.isalpha())
    ]

    assert wrong == []
