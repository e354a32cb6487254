"""Compare the records that a fleet needs with those that are published: pure functions.

    needed, not there ▶ add        there, of the same kind, and not needed ▶ remove
    TXT of other kinds, CAA of other authorities, tags and terms besides ▶ the operator's own

For: `madfleet dns --check` and `--update`.
Not for: asking (name_server.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.TXT import TXT

from controlplane.zone.models import RecordType, ZoneRecord

Key: TypeAlias = tuple[str, RecordType]
"""A name with the dot at its end, and a type."""
Published: TypeAlias = Mapping[Key, Sequence[dns.rdata.Rdata]]

TEXT_KINDS = ("v=spf1", "v=dmarc1", "v=stsv1")
KEY_MARK = "._domainkey."
USUAL_TAGS = {"v": "DKIM1", "k": "rsa"}
SPF_END = "~all"


class Action(StrEnum):
    """What there is to do about a record."""

    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that is to be added or removed."""

    action: Action
    name: str
    type: RecordType
    ttl_seconds: int
    value: str
    purpose: str

    @property
    def rdata(self) -> dns.rdata.Rdata:
        """Its value, as it travels."""
        return read_value(self.type, self.value)


def read_value(kind: RecordType, value: str) -> dns.rdata.Rdata:
    """Read a value as a zone file has it. Raises: dns.exception.DNSException."""
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), value)


def list_keys(records: Iterable[ZoneRecord], retired_names: Iterable[str]) -> list[Key]:
    """List what must be asked for."""
    keys = [(record.name, record.type) for record in records]
    return list(dict.fromkeys([*keys, *((name, RecordType.TXT) for name in retired_names)]))


def compare(
    records: Sequence[ZoneRecord], retired_names: Iterable[str], published: Published
) -> list[Difference]:
    """Compare what is needed with what is published."""
    needed: dict[Key, list[ZoneRecord]] = {}
    for record in records:
        needed.setdefault((record.name, record.type), []).append(record)
    differences = []
    for key, wanted in needed.items():
        differences += _compare_set(key, wanted, published.get(key, ()))
    for name in retired_names:
        for found in published.get((name, RecordType.TXT), ()):
            differences.append(_remove((name, RecordType.TXT), 0, found, "DKIM, a key that is no more"))
    return differences


def _compare_set(
    key: Key, wanted: Sequence[ZoneRecord], found: Sequence[dns.rdata.Rdata]
) -> list[Difference]:
    added, kept = [], set[int]()
    for record in wanted:
        needed = _write(read_value(record.type, record.value))
        fitting = [index for index, each in enumerate(found) if _fits(key, needed, _write(each))]
        kept.update(fitting)
        if not fitting:
            fields = record.model_dump(exclude={"domain"})
            added.append(Difference(Action.ADD, **fields))
    purposes = {_find_kind(key, _write(read_value(record.type, record.value))): record for record in wanted}
    removed = []
    for index, each in enumerate(found):
        about = purposes.get(_find_kind(key, _write(each)))
        if index not in kept and about is not None and about.type is not RecordType.CAA:
            removed.append(_remove(key, about.ttl_seconds, each, about.purpose))
    return [*removed, *added]


def _remove(key: Key, ttl_seconds: int, found: dns.rdata.Rdata, purpose: str) -> Difference:
    return Difference(Action.REMOVE, *key, ttl_seconds, found.to_text(), purpose)


def _write(rdata: dns.rdata.Rdata) -> str:
    """Write a value so that the same ones look the same: the strings of a text are joined."""
    if isinstance(rdata, TXT):
        return b"".join(rdata.strings).decode("latin-1")
    return rdata.to_text().lower()


def _find_kind(key: Key, value: str) -> str:
    """Find which records of a name are about the same thing; "" for a text that is about something else."""
    name, kind = key
    if kind is not RecordType.TXT:
        return kind
    if KEY_MARK in name:
        return KEY_MARK
    start = value.lower().replace(" ", "")
    return next((each for each in TEXT_KINDS if start.startswith(each)), "")


def _fits(key: Key, needed: str, found: str) -> bool:
    """Tell whether a published value says what is needed, whatever it says besides."""
    if key[1] is not RecordType.TXT:
        return needed == found
    mark = _find_kind(key, needed)
    if mark != _find_kind(key, found):
        return False
    if mark == TEXT_KINDS[0]:
        terms = [term for term in needed.lower().split() if term != SPF_END]
        return set(terms) <= set(found.lower().split())
    usual = USUAL_TAGS if mark == KEY_MARK else {}
    return (usual | _read_tags(needed)).items() <= (usual | _read_tags(found)).items()


def _read_tags(text: str) -> dict[str, str]:
    """Read `tag=value` between semicolons; blanks mean nothing. Source: RFC 6376 section 3.2."""
    pairs = (part.partition("=") for part in "".join(text.split()).split(";"))
    return {tag.lower(): value for tag, _, value in pairs if tag}
