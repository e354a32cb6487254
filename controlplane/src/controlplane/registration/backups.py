"""Choose where whoever has just registered may have a backup address, on another node, and the link to it.

    anybody may register there, a CA vouches for it    dcaccount:https://NODE/new
    nobody vouches for it, and JIT is on               dclogin:…&ic=3, an invented login
    a token is needed, and the visitor's has uses left dcaccount:https://CONTROLPLANE/new?token=…&node=…
    anything else                                      not offered

The account is made when the link is used, by the rules that hold then; it costs a use of a token as any does.

For: the page of a new account.
Not for: what a node's own page offers; nodes ask one another for that.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlmodel import Session

from controlplane.errors import TokenElsewhereError, TokenRefusedError
from controlplane.policy.service import describe_node_policy, read_node_policy
from controlplane.registration.login_url import build_account_url, build_login_url
from controlplane.registration.placement import Candidate, order_by_room
from controlplane.registration.service import (
    NewAccount,
    Registration,
    invent_account,
    list_candidates,
)
from controlplane.registration.tokens import check_token
from nodelink.contract.reports import Report
from nodelink.daemon.plain_http import write_origin

NAME_LENGTH = 9
PASSWORD_LENGTH = 24
"""Not the 23 by which apps mark what they add by themselves."""


@dataclass(frozen=True, slots=True)
class BackupAddress:
    """Another node's domain, and the link by which an app gets an address there."""

    domain: str
    link: str = field(repr=False)


def find_backups(
    registration: Registration, made: NewAccount, token: str | None, connected: frozenset[str]
) -> list[BackupAddress]:
    """Find what the page of a new account offers besides. `token` is what its visitor has shown."""
    plane = registration.plane
    with plane.sessions() as session:
        found = list_candidates(session, connected)
        own = _find_node(found, made)
        if own is None:
            return []
        count = describe_node_policy(session, read_node_policy(session, own)).in_force.backup_addresses
        if count and not _is_taken(session, registration, token):
            token = None
    others = [(candidate, report) for candidate, report in found if candidate.node != own]
    return choose_backups(others, token, plane.settings.public_url, count)


def choose_backups(
    found: Iterable[tuple[Candidate, Report]], token: str | None, public_url: str, count: int
) -> list[BackupAddress]:
    """Choose up to so many nodes, the one with the most room first. `token` is one that has uses left."""
    links: dict[str, BackupAddress] = {}
    offering: list[Candidate] = []
    for candidate, report in found:
        link = _write_link(candidate, report, token, public_url)
        if link is not None:
            links[candidate.node] = BackupAddress(report.public_name, link)
            offering.append(candidate)
    return [links[node] for node in order_by_room(offering)[:count]]


def _write_link(candidate: Candidate, report: Report, token: str | None, public_url: str) -> str | None:
    places = report.places
    if places is None:
        return None
    if candidate.is_token_needed:
        # An app fetches the account from us, and could not log in where no CA vouches for the node.
        may_have = token is not None and places.tls_pin is None
        return build_account_url(public_url, token, candidate.node) if may_have else None
    if places.tls_pin is None:
        return build_account_url(write_origin(places.host, report.public_port))
    account = invent_account(report, NAME_LENGTH, PASSWORD_LENGTH)
    if account is None or not candidate.makes_unknown_logins:
        return None
    return build_login_url(places, account.address, account.password)


def _find_node(found: Iterable[tuple[Candidate, Report]], made: NewAccount) -> str | None:
    domain = made.address.rpartition("@")[2]
    return next((candidate.node for candidate, report in found if report.public_name == domain), None)


def _is_taken(session: Session, registration: Registration, token: str | None) -> bool:
    if token is None:
        return False
    try:
        check_token(session, registration.plane, token, None, int(registration.clock()))
    except (TokenRefusedError, TokenElsewhereError):
        return False
    return True
