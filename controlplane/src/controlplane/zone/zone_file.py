"""Write records as a zone file has them.

For: records.py, endpoints, and the command line.
Not for: reading such files; name servers do that.

Source: RFC 1035 section 5.1.
"""

from collections.abc import Iterable
from itertools import groupby

from controlplane.zone.models import ZoneRecord

LONGEST_STRING = 255
PRINTABLE = range(0x20, 0x7F)


def write_text_value(text: str) -> str:
    """Write the value of a TXT record: strings of at most 255 octets, which readers join again."""
    content = text.encode()
    starts = range(0, max(len(content), 1), LONGEST_STRING)
    return " ".join(_quote(content[start : start + LONGEST_STRING]) for start in starts)


def write_line(record: ZoneRecord) -> str:
    """Write one record."""
    return f"{record.name} {record.ttl_seconds} IN {record.type} {record.value}"


def write_zone_file(records: Iterable[ZoneRecord], notes: Iterable[str]) -> str:
    """Write records under the domain that they are for; `notes` are comments."""
    parts = [f"; {_keep_on_line(note)}\n" for note in notes]
    for domain, group in groupby(records, key=lambda record: record.domain):
        lines = "".join(f"{write_line(record)}\n" for record in group)
        parts.append(f"\n; {_keep_on_line(domain)}\n{lines}")
    return "".join(parts).lstrip("\n")


def _quote(content: bytes) -> str:
    characters = (
        f"\\{chr(octet)}" if octet in b'"\\' else chr(octet) if octet in PRINTABLE else f"\\{octet:03d}"
        for octet in content
    )
    return f'"{"".join(characters)}"'


def _keep_on_line(text: str) -> str:
    """Replace what could end a comment: nodes have written some of it."""
    return "".join(character if character.isprintable() else "?" for character in text)
