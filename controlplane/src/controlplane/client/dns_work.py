"""Print what the DNS must say, compare it with what it says, have it changed.

Not for: what it must say; the control plane knows that by what nodes report.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from pydantic import ValidationError

from controlplane.client.errors import MisuseError, StrangeAnswerError
from controlplane.client.name_server import find_server, look_up_all, read_update_key, update
from controlplane.client.options import confirm
from controlplane.client.output import Column, make_printable, print_json, print_list
from controlplane.client.zone_comparison import Difference, compare, list_keys
from controlplane.zone.models import ZonePublic
from controlplane.zone.zone_file import write_zone_file

NO_RECORDS = "This fleet needs no DNS: no node of it is known by a name."


@dataclass(frozen=True, slots=True)
class DnsWish:
    """What was said on the command line. Without check and update the zone is printed."""

    domain: str | None
    check: bool
    update: bool
    server: str | None
    key_file: Path | None
    is_sure: bool
    as_json: bool


def carry_out(wish: DnsWish, found: object) -> None:
    """Do what is wished with the zone that the control plane describes.

    Raises:
        ClientError: It cannot be done.
        typer.Exit: What is published differs.
    """
    zone = _keep_domain(_read_zone(found), wish.domain)
    if not (wish.check or wish.update):
        _print_zone(zone, as_json=wish.as_json)
        return
    if wish.update and wish.server is None:
        raise MisuseError("Say with --server which name server takes updates: the zone's primary.")
    asked = find_server(wish.server) if wish.server is not None else None
    key = read_update_key(wish.key_file) if wish.key_file is not None else None
    keys = list_keys(zone.records, zone.retired_names)

    def find_differences() -> list[Difference]:
        return compare(zone.records, zone.retired_names, look_up_all(keys, asked))

    differences = find_differences()
    if wish.update and asked is not None and differences:
        if not wish.as_json:
            _print_differences(differences, zone, as_json=False)
        confirm(f"Change {len(differences)} records at {asked}?", is_sure=wish.is_sure)
        update(differences, asked, key)
        differences = find_differences()
    _print_differences(differences, zone, as_json=wish.as_json)
    if differences:
        raise typer.Exit(1)


def _read_zone(found: object) -> ZonePublic:
    try:
        return ZonePublic.model_validate(found)
    except ValidationError as error:
        raise StrangeAnswerError(
            "The control plane describes its DNS in a way that this command does not know. Take its version."
        ) from error


def _keep_domain(zone: ZonePublic, domain: str | None) -> ZonePublic:
    """Keep what is for one domain. Raises: MisuseError."""
    if domain is None:
        return zone
    wanted = domain.lower().rstrip(".")
    records = [record for record in zone.records if record.domain == wanted]
    if not records:
        known = ", ".join(dict.fromkeys(record.domain for record in zone.records))
        others = f"There are some for {known}." if known else NO_RECORDS
        raise MisuseError(f"No records are for {domain}. {others}")
    retired = [name for name in zone.retired_names if name.endswith(f"._domainkey.{wanted}.")]
    text = write_zone_file(records, zone.notes)
    return zone.model_copy(update={"records": records, "retired_names": retired, "zone_file": text})


def _print_zone(zone: ZonePublic, *, as_json: bool) -> None:
    if as_json:
        print_json(zone.model_dump(mode="json"))
        return
    lines = zone.zone_file.splitlines()
    if not zone.records:
        lines.append(f"; {NO_RECORDS}")
    typer.echo("\n".join(map(make_printable, lines)))


def _print_differences(differences: Sequence[Difference], zone: ZonePublic, *, as_json: bool) -> None:
    count = len(zone.records)
    empty = f"All {count} records are published." if count else NO_RECORDS
    print_list([asdict(each) for each in differences], COLUMNS, as_json=as_json, empty=empty)


COLUMNS: list[Column] = [
    ("DO", "action"),
    ("NAME", "name"),
    ("TTL", "ttl_seconds"),
    ("TYPE", "type"),
    ("VALUE", "value"),
    ("WHAT FOR", "purpose"),
]
