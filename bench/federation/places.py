"""Where the two servers of a pair are, and what a name server says of them.

For: ours.py and pipelines.py. Nodes dial no address of loopback, so places have others, on its interface.
"""

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ZONE = "example.org"
LINE_CHARACTERS = 200
COMMAND_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Place:
    """A mail server: its domain, which is its host name, too, and an address of its own."""

    label: str
    host: str

    @property
    def domain(self) -> str:
        """What follows the @ of its users."""
        return f"{self.label}.{ZONE}"


def add_address(place: Place) -> None:
    """Give this network, which is nobody else's, the address of a place."""
    command = ["ip", "address", "add", f"{place.host}/32", "dev", "lo"]
    subprocess.run(command, check=True, timeout=COMMAND_SECONDS)


def write_hosts(*places: Place) -> str:
    """Write a hosts file, for programs that ask who calls."""
    return "".join(f"{place.host} {place.domain}\n" for place in places)


def write_records(place: Place, keys: Iterable[tuple[str, str]]) -> str:
    """Write the records of a server as lines of a zone file; `keys` are selectors, and what they publish."""
    return "".join(f"{line}\n" for line in _list_records(place, keys))


def _list_records(place: Place, keys: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"{place.label} IN A {place.host}"
    yield f"{place.label} IN MX 10 {place.label}"
    for selector, text in keys:
        parts = (text[start : start + LINE_CHARACTERS] for start in range(0, len(text), LINE_CHARACTERS))
        quoted = " ".join(f'"{part}"' for part in parts)
        yield f"{selector}._domainkey.{place.label} IN TXT {quoted}"
