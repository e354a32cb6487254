"""A sentence in every language, and which of them a visitor reads.

For: the modules beside this one. A sentence that lacks a language is an error of the type checker.
Not for: names, addresses and commands; a template sets them apart, so that they keep their direction. Where
one stands within a sentence, the text has `%s`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Language(StrEnum):
    """A language that the pages are written in."""

    EN = "en"
    FA = "fa"

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """The direction of the script, as HTML's `dir` says it."""
        return "rtl" if self is Language.FA else "ltr"

    @property
    def own_name(self) -> str:
        """What its readers call it."""
        return "فارسی" if self is Language.FA else "English"


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence or word."""

    en: str
    fa: str

    def speak(self, language: Language) -> str:
        """Say it in a language."""
        return self.fa if language is Language.FA else self.en


Phrases = Mapping[str, Phrase]


def choose_language(asked: str | None, remembered: str | None, accept_language: str) -> Language:
    """Choose by what was asked for, then what was asked for before, then what the browser wants first."""
    for choice in (asked, remembered):
        if choice in set(Language):
            return Language(choice)
    tags = (entry.partition(";")[0].strip()[:2].lower() for entry in accept_language.split(","))
    return next((Language(tag) for tag in tags if tag in set(Language)), Language.EN)
