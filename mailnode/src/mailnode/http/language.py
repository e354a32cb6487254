"""Which language a visitor reads, and how numbers look in it.

For: pages; every function is pure.
Not for: texts (texts.py).
"""

import re
from enum import StrEnum
from typing import Literal

PERSIAN_DIGITS = str.maketrans("0123456789.", "۰۱۲۳۴۵۶۷۸۹٫")  # noqa: RUF001 - they are meant
KIBIBYTE = 1024
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"

_PREFERENCE = re.compile(
    r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?"
)


class Language(StrEnum):
    """A language that the pages are written in."""

    EN = "en"
    FA = "fa"

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """The direction of the script, as HTML's `dir` says it."""
        return "rtl" if self is Language.FA else "ltr"


UNITS = {
    Language.EN: ("B", "KiB", "MiB", "GiB", "TiB"),
    Language.FA: ("بایت", "کیلوبایت", "مگابایت", "گیگابایت", "ترابایت"),
}


def choose_language(asked: str | None, accept_language: str, default: Language) -> Language:
    """Choose by what was asked for in the address, then by what the browser prefers, then by default.

    Args:
        asked: The `lang` of the query; one that we do not have counts as none.
        accept_language: The header as it came; entries that make no sense are passed over.
        default: For visitors whose languages we do not have.

    Source: RFC 9110 section 12.5.4.
    """
    if asked in set(Language):
        return Language(asked)
    best, best_weight = default, 0.0
    for entry in accept_language.split(","):
        preference = _PREFERENCE.fullmatch(entry)
        if preference is None:
            continue
        tag, weight = preference[1].lower(), float(preference[2] or 1)
        if tag in set(Language) and weight > best_weight:
            best, best_weight = Language(tag), weight
    return best


def write_number(text: str, language: Language) -> str:
    """Write the digits of a text as the language writes them in prose."""
    return text.translate(PERSIAN_DIGITS) if language is Language.FA else text


def write_size(size_bytes: int, language: Language) -> str:
    """Write a size in its largest fitting unit, such as "1.5 GiB", so that no line ends within it."""
    value, place = float(size_bytes), 0
    while value >= KIBIBYTE and place < len(UNITS[language]) - 1:
        value, place = value / KIBIBYTE, place + 1
    number = f"{value:.1f}".removesuffix(".0")
    return f"{write_number(number, language)}{NO_BREAK_SPACE}{UNITS[language][place]}"
