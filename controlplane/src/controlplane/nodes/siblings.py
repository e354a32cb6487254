"""Decide which mail nodes the others know, and what they are told of them.

For: pure functions.
Not for: gathering (desired.py).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nodelink.contract.reports import Report
from nodelink.contract.states import SiblingNode

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")


@dataclass(frozen=True, slots=True)
class MailCandidate:
    """A mail node, and what it has said of itself. `residue` tells in what order nodes were enrolled."""

    node: str
    residue: int
    public_key: str
    report: Report


def choose_siblings(candidates: Iterable[MailCandidate]) -> tuple[SiblingNode, ...]:
    """Choose the mail nodes that take mail for others, by name; each domain has one, the one enrolled first.

    So a node that claims the domain of another one gets none of its mail.
    """
    chosen: dict[str, MailCandidate] = {}
    for candidate in sorted(candidates, key=lambda candidate: candidate.residue):
        places = candidate.report.places
        if places is not None and candidate.report.public_name and _HOST.fullmatch(places.host):
            chosen.setdefault(candidate.report.public_name.lower(), candidate)
    return tuple(
        SiblingNode(
            name=candidate.node,
            mail_domain=domain,
            host=candidate.report.places.host,
            port=candidate.report.public_port,
            public_key=candidate.public_key,
            tls_pin=candidate.report.places.tls_pin,
        )
        for domain, candidate in sorted(chosen.items(), key=lambda entry: entry[1].node)
        if candidate.report.places is not None
    )
