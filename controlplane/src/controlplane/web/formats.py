"""Write numbers, amounts and times as readers of a language do.

For: templates, as `say`.
Not for: sentences (texts/), nor what a form takes (policy/quantities.py).
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from controlplane.policy.quantities import UNITS
from controlplane.web.texts.catalogue import TEXTS
from controlplane.web.texts.phrases import Language

PERSIAN_DIGITS = str.maketrans("0123456789,.", "۰۱۲۳۴۵۶۷۸۹٬٫")  # noqa: RUF001 - Persian
LATIN_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩٫٬", "01234567890123456789.,")  # noqa: RUF001 - Persian
UNIT_NAMES = {
    Language.EN: {"": "B", "K": "KiB", "M": "MiB", "G": "GiB", "T": "TiB"},
    Language.FA: {"": "بایت", "K": "کیلوبایت", "M": "مگابایت", "G": "گیگابایت", "T": "ترابایت"},
}
AGES = ((86_400, "days_ago"), (3600, "hours_ago"), (60, "minutes_ago"), (1, "seconds_ago"))
JUST_NOW_SECONDS = 2
SMALL = 100


@dataclass(frozen=True, slots=True)
class Speech:
    """How a reader is told things at a time."""

    language: Language
    now_seconds: int

    def digits(self, text: object) -> str:
        """Write the digits of a text in those of the language."""
        return str(text).translate(PERSIAN_DIGITS) if self.language is Language.FA else str(text)

    def number(self, value: float) -> str:
        """Write a number: whole from a hundred on, and otherwise with what matters behind the point."""
        is_whole = value == int(value) or abs(value) >= SMALL
        return self.digits(f"{value:,.0f}" if is_whole else f"{value:.3g}")

    def size(self, size_bytes: float) -> str:
        """Write an amount of bytes in the unit that makes it at least one."""
        unit = max(
            (unit for unit, shift in UNITS.items() if int(size_bytes) >> shift),
            key=UNITS.__getitem__,
            default="",
        )
        amount = size_bytes / (1 << UNITS[unit])
        text = f"{amount:.0f}" if amount == int(amount) or amount >= SMALL else f"{amount:.1f}"
        return f"{self.digits(text)} {UNIT_NAMES[self.language][unit]}"

    def ago(self, at_seconds: int | None) -> Markup | str:
        """Write how long ago something was, with the exact time for whoever asks."""
        frame = TEXTS[self.language]["frame"]
        if at_seconds is None:
            return frame["never"]
        age = max(0, self.now_seconds - at_seconds)
        if age < JUST_NOW_SECONDS:
            text = frame["just_now"]
        else:
            length, name = next((length, name) for length, name in AGES if age >= length)
            text = frame[name].replace("%s", self.digits(age // length))
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            write_iso(at_seconds), self._write_moment(at_seconds), text
        )

    def moment(self, at_seconds: int | None) -> Markup | str:
        """Write a time; where there are scripts, they write it in the reader's zone and calendar."""
        if at_seconds is None:
            return TEXTS[self.language]["frame"]["never"]
        return Markup('<time datetime="{}" data-local>{}</time>').format(
            write_iso(at_seconds), Markup('<bdi dir="ltr">{}</bdi>').format(self._write_moment(at_seconds))
        )

    def _write_moment(self, at_seconds: int) -> str:
        return f"{datetime.fromtimestamp(at_seconds, UTC):%Y-%m-%d %H:%M} UTC"


def write_iso(at_seconds: int) -> str:
    """Write a time as HTML's `datetime` wants it."""
    return f"{datetime.fromtimestamp(at_seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def read_digits(text: str) -> str:
    """Read what somebody has typed with the digits of his language."""
    return text.translate(LATIN_DIGITS).strip()
