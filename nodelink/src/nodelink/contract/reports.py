"""What a node tells of itself.

For: the fleet view. Aggregates only: no addresses of accounts, no names, no message data.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from nodelink.contract.federation import MAX_DKIM_KEYS, DkimKey, PeerTraffic
from nodelink.contract.ports import MAX_ALTERNATES, PortReport
from nodelink.contract.states import MAX_REVISION, NodeKind, NodeName, PortNumber, SpkiPin

MAX_PROBES = 64
MAX_PEERS_REPORTED = 20
MAX_CREDENTIALS = 32
MAX_ADDRESSES = 64
MAX_UDP_PORTS = 64
MAX_ISSUER_CHARACTERS = 128
PROBED_AT_ONCE = 5
"""Peers of a node and round."""

ShortText = Annotated[str, Field(max_length=64)]
Sentence = Annotated[str, Field(max_length=500)]


class MailPlaces(BaseModel):
    """Where a mail node is reached. `tls_pin` is the key of its certificate where no CA vouches for that.

    `issuer` is the organisation whose CA has issued it, "" where that names none; older nodes do not tell.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: str = Field(max_length=253, description="Name, or address without brackets.")
    imap_tls_port: int = Field(ge=1, le=65535)
    smtp_tls_port: int = Field(ge=1, le=65535)
    tls_pin: SpkiPin | None
    issuer: str | None = Field(default=None, max_length=MAX_ISSUER_CHARACTERS)


class ProbeReport(BaseModel):
    """What came of the last probe of a peer. `seconds` is how long it took, `None` for one that failed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    peer: NodeName
    at_seconds: int = Field(ge=0, description="When it ended.")
    seconds: float | None = Field(ge=0, le=3600)
    problem: Sentence | None = Field(description="Why it failed, for an operator.")


class CredentialUse(BaseModel):
    """What one TURN credential has used at a node, until it ends; nobody can tell whose it is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pseudonym: str = Field(pattern=r"^[0-9a-f]{16}$", description="The same at every node of the fleet.")
    allocations: int = Field(ge=0, description="Live now.")
    packets: int = Field(ge=0, description="Relayed, both ways.")
    bytes: int = Field(ge=0)
    dropped: int = Field(ge=0, description="Packets beyond its limits.")


class Report(BaseModel):
    """How a node is. `applied_revision` is 0 before the first desired state.

    `overrides` names the settings that the node's own admin has changed, and that the control plane does not
    rule until they are cleared; `problems` are sentences for an operator, empty for a healthy node; `figures`
    are gauges and counters by name, for example `accounts` or `allocations`. `places` is what mail nodes say,
    and neither TURN nodes nor mail nodes of an older version. `trusted_keys` are those of the control plane
    that the node accepts, the newest last; the channel adds them, and those of an older version did not.
    `probes` are those of the last rounds, one for each peer. `dkim_keys` are what a mail node signs with, and
    `peers` the servers of others that it has exchanged mail with last. `addresses` are those by which a node
    is reached, and `credentials` are those that used a TURN node most. `ports` are those that can be moved,
    and `alternate_ports` where they can be moved to; a node of an older version tells neither. `udp_ports`
    are those at which a TURN node takes clients, that of `public_port` among them; older ones do not tell.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: NodeKind
    software_version: str = Field(max_length=64)
    applied_revision: int = Field(ge=0, le=MAX_REVISION)
    started_at_seconds: int = Field(ge=0)
    public_name: str = Field(
        max_length=255, description="What users know the node by: mail domain, or TURN host name or address."
    )
    public_port: int = Field(
        ge=1, le=65535, description="HTTPS port of a mail node, TURN port of a TURN node."
    )
    overrides: tuple[ShortText, ...] = Field(max_length=64)
    problems: tuple[Sentence, ...] = Field(max_length=64)
    figures: dict[ShortText, float] = Field(max_length=256)
    places: MailPlaces | None = None
    trusted_keys: tuple[ShortText, ...] = Field(default=(), max_length=4)
    probes: tuple[ProbeReport, ...] = Field(default=(), max_length=MAX_PROBES)
    ports: tuple[PortReport, ...] = Field(default=(), max_length=16)
    alternate_ports: tuple[PortNumber, ...] = Field(default=(), max_length=MAX_ALTERNATES)
    dkim_keys: tuple[DkimKey, ...] = Field(default=(), max_length=MAX_DKIM_KEYS)
    peers: tuple[PeerTraffic, ...] = Field(default=(), max_length=MAX_PEERS_REPORTED)
    addresses: tuple[Annotated[str, Field(max_length=45)], ...] = Field(default=(), max_length=MAX_ADDRESSES)
    credentials: tuple[CredentialUse, ...] = Field(default=(), max_length=MAX_CREDENTIALS)
    udp_ports: tuple[PortNumber, ...] = Field(default=(), max_length=MAX_UDP_PORTS)
