"""Decide which records the DNS must have for a fleet: pure functions.

    mail node    name ▶ A, AAAA      mail ▶ MX, SPF, DKIM, DMARC      apps ▶ SRV, autoconfig
                 certificate of a CA ▶ MTA-STS, CAA
    TURN nodes   one name ▶ those that live and do not drain          each by its own name

For: service.py, which reads what nodes have told.
Not for: names that a fleet does not need: a node whose mail domain is an address has no records at all.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from controlplane.nodes.turn_zone import TTL_SECONDS as TURN_TTL_SECONDS
from controlplane.zone.models import Purpose, RecordType, ZoneRecord
from controlplane.zone.zone_file import write_text_value
from nodelink.contract.federation import DkimKey, DkimStage
from nodelink.contract.mta_sts import STS_HOST, choose_exchange, write_sts_id
from nodelink.contract.ports import PortName

TTL_SECONDS = 3_600
MX_PREFERENCE = 10
AUTOCONFIG_HOST = "autoconfig"
DMARC = "v=DMARC1;p=reject;adkim=s;aspf=s"
SERVICES: Mapping[PortName, tuple[str, Purpose]] = {
    PortName.IMAP_TLS: ("_imaps", Purpose.IMAP_TLS),
    PortName.IMAP: ("_imap", Purpose.IMAP),
    PortName.SUBMISSION_TLS: ("_submissions", Purpose.SUBMISSION_TLS),
    PortName.SUBMISSION: ("_submission", Purpose.SUBMISSION),
}
KEYS: Mapping[DkimStage, Purpose] = {
    DkimStage.NEXT: Purpose.NEXT_KEY,
    DkimStage.CURRENT: Purpose.CURRENT_KEY,
    DkimStage.FORMER: Purpose.FORMER_KEY,
}
LONGEST_NAME = 253
RETIRED_PAIRS = 3
"""So many pairs of keys before the oldest live one are looked for."""
NOT_EVERYWHERE = tuple(
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)

_SELECTOR = re.compile(r"([a-z]{1,8})([0-9]{1,9})")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class MailPlace:
    """A mail node as far as the DNS goes. `addresses` are IP addresses, `ports` where its services listen."""

    node: str
    mail_domain: str
    host: str
    addresses: tuple[str, ...]
    ports: Mapping[PortName, int]
    is_self_signed: bool
    dkim_keys: tuple[DkimKey, ...]


@dataclass(frozen=True, slots=True)
class TurnPlace:
    """A TURN node by its own name."""

    node: str
    name: str
    addresses: tuple[str, ...]


def is_name(text: str) -> bool:
    """Tell whether this is a name that the DNS can have, and no address."""
    labels = text.split(".")
    is_written_right = len(text) <= LONGEST_NAME and len(labels) > 1 and all(map(is_label, labels))
    return is_written_right and not labels[-1].isdigit()


def is_label(text: str) -> bool:
    """Tell whether this can be one part of a name."""
    return _LABEL.fullmatch(text) is not None


def is_address(text: str) -> bool:
    """Tell whether this is an address, without a scope."""
    try:
        return "%" not in str(ip_address(text))
    except ValueError:
        return False


def is_reached_everywhere(address: str) -> bool:
    """Tell whether an address is one that others can reach."""
    parsed = ip_address(address)
    return not any(parsed.version == network.version and parsed in network for network in NOT_EVERYWHERE)


def list_mail_records(place: MailPlace, authority: str | None) -> list[ZoneRecord]:
    """List the records of a mail node whose mail domain is a name.

    Args:
        place: What the node has told.
        authority: Who alone may issue certificates, such as `letsencrypt.org`; `None` for no word about it.
    """
    domain = place.mail_domain
    exchange = choose_exchange(domain, place.host)

    def record(name: str, kind: RecordType, value: str, purpose: Purpose) -> ZoneRecord:
        return ZoneRecord(
            name=f"{name}.", type=kind, ttl_seconds=TTL_SECONDS, value=value, domain=domain, purpose=purpose
        )

    def text(name: str, value: str, purpose: Purpose) -> ZoneRecord:
        return record(name, RecordType.TXT, write_text_value(value), purpose)

    hosts = dict.fromkeys((domain, exchange))
    records = [
        record(name, *each, Purpose.NODE) for name in hosts for each in _list_addresses(place.addresses)
    ]
    records += [
        record(domain, RecordType.MX, f"{MX_PREFERENCE} {exchange}.", Purpose.EXCHANGE),
        text(domain, f"v=spf1 {'a' if exchange == domain else f'a:{exchange}'} ~all", Purpose.SPF),
        *(
            text(f"{key.selector}._domainkey.{domain}", key.record, KEYS[key.stage])
            for key in place.dkim_keys
        ),
        text(f"_dmarc.{domain}", DMARC, Purpose.DMARC),
    ]
    records += [
        record(f"{label}._tcp.{domain}", RecordType.SRV, f"0 1 {place.ports[port]} {exchange}.", purpose)
        for port, (label, purpose) in SERVICES.items()
        if port in place.ports
    ]
    if place.is_self_signed:
        return records
    records.append(text(f"_mta-sts.{domain}", f"v=STSv1; id={write_sts_id(exchange)}", Purpose.STS))
    for label, purpose in ((STS_HOST, Purpose.STS_POLICY), (AUTOCONFIG_HOST, Purpose.AUTOCONFIG)):
        records += [record(f"{label}.{domain}", *each, purpose) for each in _list_addresses(place.addresses)]
    if authority is not None:
        names = [name for name in hosts if name == domain or not name.endswith(f".{domain}")]
        records += [
            record(name, RecordType.CAA, f'0 issue "{authority}"', Purpose.AUTHORITY) for name in names
        ]
    return records


def list_turn_records(
    name: str | None, published: Sequence[str], places: Iterable[TurnPlace], authority: str | None
) -> list[ZoneRecord]:
    """List the records of TURN nodes: of their common name, which has these addresses now, and of each."""
    named = [TurnPlace("", name, tuple(published))] if name is not None and is_name(name) else []
    named += [place for place in places if place.name != name and is_name(place.name)]
    records = []
    for place in named:
        ttl_seconds = TTL_SECONDS if place.node else TURN_TTL_SECONDS
        values = [(*each, Purpose.TURN) for each in _list_addresses(place.addresses)]
        if authority is not None:
            values.append((RecordType.CAA, f'0 issue "{authority}"', Purpose.AUTHORITY))
        records += [
            ZoneRecord(
                name=f"{place.name.rstrip('.')}.",
                type=kind,
                ttl_seconds=ttl_seconds,
                value=value,
                domain=place.name,
                purpose=purpose,
            )
            for kind, value, purpose in values
        ]
    return records


def list_retired_names(place: MailPlace) -> list[str]:
    """List the names of the signing keys that came before those that the node still has."""
    oldest: dict[str, int] = {}
    for key in place.dkim_keys:
        match = _SELECTOR.fullmatch(key.selector)
        if match is not None:
            oldest[match[1]] = min(int(match[2]), oldest.get(match[1], int(match[2])))
    return [
        f"{kind}{number}._domainkey.{place.mail_domain}."
        for kind, first in oldest.items()
        for number in range(max(1, first - RETIRED_PAIRS), first)
    ]


def drop_repeated(records: Iterable[ZoneRecord]) -> list[ZoneRecord]:
    """Keep the first of records that say the same: two nodes may share a name."""
    kept: dict[tuple[str, RecordType, str], ZoneRecord] = {}
    for record in records:
        kept.setdefault((record.name, record.type, record.value), record)
    return list(kept.values())


def _list_addresses(addresses: Iterable[str]) -> list[tuple[RecordType, str]]:
    return [(RecordType.AAAA if ":" in address else RecordType.A, address) for address in addresses]
