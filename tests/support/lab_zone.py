"""What the lab's name server says for a while, besides the zone that the lab began with.

For: lab tests with servers that are not of the fleet.
Not for: that zone (lab_names.py).
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import dns.exception
import dns.message
import dns.query

from controlplane.zone.zone_file import write_text_value
from mailnode.dkim.key_ring import write_key_record
from mailnode.dkim.signing import SigningKey
from support.clocks import wait_until
from support.deployed_fleet import NAME_SERVER_ADDRESS, run_at

ZONE_FILE = "/etc/nsd/lab.zone"
MARK = "mark.test."
ASKING_SECONDS = 1

Publish = Callable[[Sequence[str]], None]
"""Have the name server say these lines of a zone file, and none that were published before."""


@contextmanager
def opened_zone() -> Iterator[Publish]:
    """Let records be published; with the block, the zone is again what it was."""
    first_zone = run_at(NAME_SERVER_ADDRESS, f"cat {ZONE_FILE}")

    def publish(lines: Sequence[str]) -> None:
        mark = secrets.token_hex(8)
        _write("\n".join([first_zone, *lines, f'{MARK} 0 IN TXT "{mark}"']))
        wait_until(lambda: mark in _ask_for_mark())

    try:
        yield publish
    finally:
        _write(first_zone)


def write_key_lines(domain: str, keys: Sequence[SigningKey]) -> list[str]:
    """Write the records of the keys that sign a domain's mail; nobody keeps them."""
    return [
        f"{key.selector}._domainkey.{domain}. 0 IN TXT {write_text_value(write_key_record(key))}"
        for key in keys
    ]


def _write(zone: str) -> None:
    command = f"cat > {ZONE_FILE} <<'END'\n{zone}\nEND\nsystemctl kill --signal=HUP nsd"
    run_at(NAME_SERVER_ADDRESS, command)


def _ask_for_mark() -> str:
    try:
        query = dns.message.make_query(MARK, "TXT")
        return dns.query.udp(query, NAME_SERVER_ADDRESS, timeout=ASKING_SECONDS).to_text()
    except (dns.exception.DNSException, OSError):
        return ""
