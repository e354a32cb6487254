"""Read what nodes have told, and say what the DNS must have.

For: endpoints of the Admin API.
Not for: which records there are (records.py).
"""

from collections.abc import Iterable

from sqlmodel import Session, col, select

from controlplane.nodes.models import Node, NodeReport
from controlplane.nodes.reports import find_zone_candidates, read_report
from controlplane.nodes.turn_zone import TurnZonePublic, ZoneNodePublic, decide_zone
from controlplane.zone.authorities import find_authority
from controlplane.zone.models import ZonePublic
from controlplane.zone.records import (
    MailPlace,
    TurnPlace,
    drop_repeated,
    is_address,
    is_label,
    is_name,
    is_reached_everywhere,
    list_mail_records,
    list_retired_names,
    list_turn_records,
)
from controlplane.zone.zone_file import write_zone_file
from nodelink.contract.ports import PortName
from nodelink.contract.reports import Report
from nodelink.contract.states import NodeKind


def describe_zone(
    session: Session, turn_name: str | None, now_seconds: int, authority: str | None
) -> ZonePublic:
    """Describe what the DNS must say.

    `authority` is who alone may issue certificates, or `none`; `None` leaves that to each node's certificate.
    """
    notes: list[str] = []
    mail: list[tuple[MailPlace, str | None]] = []
    turn: list[TurnPlace] = []
    for node, report in _read_reports(session):
        if report is None:
            notes.append(f"{node.name} has never reported: nothing is known of it.")
        elif node.kind == NodeKind.MAIL:
            places = _place_mail_node(node.name, report, notes)
            mail += [(place, _find_authority(place, authority, report, notes)) for place in places]
        else:
            addresses = tuple(filter(is_address, report.addresses))
            turn.append(TurnPlace(node.name, report.public_name.lower(), addresses))
            notes += _note_addresses(node.name, addresses, "turnnode_published_addresses")
    zone = decide_zone(turn_name, find_zone_candidates(session, now_seconds))
    if turn_name is not None:
        notes += [f"{each.node} is left out of {turn_name}: it is {each.absence}." for each in _absent(zone)]
    published = sorted({address for each in zone.nodes if each.absence is None for address in each.addresses})
    records = drop_repeated(
        [
            *(record for place, vouching in mail for record in list_mail_records(place, vouching)),
            # TURN nodes get no certificates by ACME, and most have none.
            *list_turn_records(turn_name, published, turn, authority and find_authority(authority, None)),
        ]
    )
    return ZonePublic(
        records=records,
        retired_names=[name for place, _ in mail for name in list_retired_names(place)],
        notes=notes,
        zone_file=write_zone_file(records, notes),
    )


def _read_reports(session: Session) -> Iterable[tuple[Node, Report | None]]:
    statement = (
        select(Node, NodeReport)
        .join(NodeReport, col(NodeReport.node_name) == col(Node.name), isouter=True)
        .order_by(col(Node.kind), col(Node.name))
    )
    for node, row in session.exec(statement):
        yield node, read_report(row)


def _place_mail_node(node: str, report: Report, notes: list[str]) -> list[MailPlace]:
    """Tell where a mail node is; nothing for one that needs no DNS, or cannot be named. Notes say why."""
    domain = report.public_name.lower()
    if domain.startswith("["):
        notes.append(f"{node} needs no DNS: its mail domain is the address {domain}.")
        return []
    host = domain if report.places is None else report.places.host.lower()
    if report.places is None or not is_name(domain) or not (is_name(host) or is_address(host)):
        notes.append(f"{node} says that it is {host!r} of mail domain {domain!r}, which no record can have.")
        return []
    ports = {
        PortName.IMAP_TLS: report.places.imap_tls_port,
        PortName.SUBMISSION_TLS: report.places.smtp_tls_port,
    }
    ports |= {PortName(port.name): port.effective for port in report.ports if port.name in list(PortName)}
    addresses = tuple(filter(is_address, report.addresses))
    if not addresses:
        notes.append(
            f"{node} does not say by which addresses it is reached: set mailnode_published_addresses."
        )
    notes += _note_addresses(node, addresses, "mailnode_published_addresses")
    is_self_signed = report.places.tls_pin is not None
    if is_self_signed:
        notes.append(f"{node} has a certificate of its own making: neither MTA-STS nor CAA could hold.")
    keys = tuple(key for key in report.dkim_keys if is_label(key.selector))
    return [MailPlace(node, domain, host, addresses, ports, is_self_signed, keys)]


def _find_authority(place: MailPlace, chosen: str | None, report: Report, notes: list[str]) -> str | None:
    """Find who alone may certify a node's names; a note says where that is not known."""
    issuer = None if report.places is None else report.places.issuer
    authority = find_authority(chosen, issuer)
    if authority is None and chosen is None and not place.is_self_signed:
        told = f"{issuer!r}" if issuer else "an authority without a name"
        notes.append(
            f"{place.node} has a certificate of {told}, so no CAA says who may certify: name the authority "
            "by --certificate-authority."
        )
    return authority


def _note_addresses(node: str, addresses: Iterable[str], variable: str) -> list[str]:
    hidden = [address for address in addresses if not is_reached_everywhere(address)]
    return (
        [f"{node} is at {', '.join(hidden)}, where others do not reach it: set {variable}."] if hidden else []
    )


def _absent(zone: TurnZonePublic) -> list[ZoneNodePublic]:
    return [each for each in zone.nodes if each.absence is not None]
