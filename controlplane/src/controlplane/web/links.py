"""Addresses of our own pages, as forms and redirects name them.

For: leading somebody back to the page that he came from, with a word about what became of it.
"""

import re
from urllib.parse import parse_qsl, quote, urlencode

HOME = "/admin"
PASSING = frozenset({"notice", "refusal", "field", "lang"})
"""What a page says once."""

_BACK = re.compile(r"/admin(?:/[!-.0-~]*)*(?:\?[!-~]*)?", re.ASCII)


def read_back(text: str) -> str | None:
    """Read the address of a page of ours; `None` for what is none."""
    return text if _BACK.fullmatch(text) and "//" not in text and "\\" not in text else None


def say_there(address: str, **words: str) -> str:
    """Return the address of a page that says something once."""
    path, _, query = address.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name not in PASSING and name not in words]
    asked = urlencode([*kept, *words.items()])
    return f"{path}?{asked}" if asked else path


def write_page(*words: str) -> str:
    """Write the address of a page below `/admin`."""
    return "/".join((HOME, *(quote(word, safe="@[]:") for word in words)))


def drop_passing(address: str) -> str:
    """Return an address without what is said only once."""
    return say_there(address)
