"""The ports that can be moved while a node runs: their names, and what a node tells of each.

For: both sides. A name is the same in desired states, reports, the Admin API and the admin RPC.
Not for: HTTPS and plain HTTP. Certificates, mail between nodes and links that people keep go by those, so
they belong to Ansible.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from nodelink.contract.states import NodeKind, PortNumber

MAX_ALTERNATES = 64
"""Alternate ports of a node."""


class PortName(StrEnum):
    """A port that can be moved."""

    SUBMISSION = "submission"
    SUBMISSION_TLS = "submission_tls"
    IMAP = "imap"
    IMAP_TLS = "imap_tls"
    TURN = "turn"


PORTS: Mapping[NodeKind, tuple[PortName, ...]] = {
    NodeKind.MAIL: (PortName.SUBMISSION, PortName.SUBMISSION_TLS, PortName.IMAP, PortName.IMAP_TLS),
    NodeKind.TURN: (PortName.TURN,),
}

ALTERNATES_VARIABLES: Mapping[NodeKind, str] = {
    NodeKind.MAIL: "mailnode_alternate_ports",
    NodeKind.TURN: "turnnode_alternate_ports",
}
"""In which variable Ansible is told what to open besides."""


class PortReport(BaseModel):
    """Where a service listens. `problem` says why it is not where it was wanted, else it is `None`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, Field(max_length=64)]
    configured: PortNumber = Field(description="Where it listens unless it is moved; Ansible sets it.")
    effective: PortNumber = Field(description="Where it listens.")
    problem: Annotated[str, Field(max_length=500)] | None
