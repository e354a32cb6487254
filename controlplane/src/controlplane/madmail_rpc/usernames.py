"""Find out on which node an account is, by its name alone.

For: resources of accounts. A domain is of one node, so nothing is looked up but where nodes say they are.
Not for: whether the account is there.
"""

import re

from sqlmodel import Session

from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.envelope import RpcError
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.reports import describe_node, find_mail_candidates

LONGEST_USERNAME = 320

_IPV4_DOMAIN = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", re.ASCII)


def place_account(session: Session, call: Call, username: str) -> tuple[str, str]:
    """Find the node of an account; return it with the account's address.

    Raises:
        RpcError: The name is none (400), or of no domain of the fleet or this node (404).
    """
    domains = read_domains(session, call)
    name, has_domain, domain = username.lower().partition("@")
    if not has_domain and len(domains) == 1:
        domain = next(iter(domains))
    if _IPV4_DOMAIN.fullmatch(domain):
        domain = f"[{domain}]"
    if not name or not domain or len(username) > LONGEST_USERNAME:
        raise RpcError(400, "username must be an address, such as name@chat.example.org")
    if domain not in domains:
        raise RpcError(404, f"no node here has the domain {domain}")
    return domains[domain], f"{name}@{domain}"


def read_domains(session: Session, call: Call) -> dict[str, str]:
    """Read which mail domain is on which node, as far as the call reaches."""
    if call.node is not None:
        report = describe_node(session, read_node(session, call.node), call.now_seconds).report
        return {} if report is None or report.places is None else {report.public_name.lower(): call.node}
    found: dict[str, str] = {}
    for each in sorted(find_mail_candidates(session), key=lambda candidate: candidate.residue):
        found.setdefault(each.report.public_name.lower(), each.node)  # as siblings are chosen
    return found
