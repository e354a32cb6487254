"""What a desired state says of mail to and from servers of others, and what a node reports of it.

For: both sides.
Not for: mail between the nodes of a fleet, which needs no permission (states.SiblingNode).
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_RULES = 10_000
MAX_PEERS_SHOWN = 500
MAX_DKIM_KEYS = 16
MAX_EXCHANGERS = 16
DomainText = Annotated[str, Field(min_length=1, max_length=255)]


class FederationMode(StrEnum):
    """What holds for a domain that no rule names."""

    ACCEPT = "accept"
    REJECT = "reject"


class PeerTransport(StrEnum):
    """By what mail goes to a peer, and comes from one: by HTTP it only goes."""

    HTTPS = "https"
    HTTP = "http"
    SMTP = "smtp"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FederationRule(_Part):
    """A domain that is blocked (mode accept) or allowed (mode reject), by one transport or by all."""

    domain: DomainText
    transport: PeerTransport | None = None


class EndpointOverride(_Part):
    """Where mail for a domain goes instead of to its MX: a host, `host:port`, or a URL."""

    domain: DomainText
    target: str = Field(min_length=1, max_length=500)


class ExchangerAccess(_Part):
    """A relay where mail for a node may wait, and how it is asked. `token` is `None` where it wants none."""

    name: str = Field(min_length=1, max_length=63)
    url: str = Field(min_length=1, max_length=500)
    interval_seconds: int = Field(ge=1, le=86_400)
    token: str | None = Field(default=None, max_length=500, repr=False)


class FederationState(_Part):
    """The policy of a node. `dismissed` are domains whose mail is taken from users and thrown away."""

    is_enabled: bool
    mode: FederationMode
    rules: tuple[FederationRule, ...] = Field(default=(), max_length=MAX_RULES)
    transports: tuple[PeerTransport, ...] = Field(default=(PeerTransport.HTTPS, PeerTransport.SMTP))
    dismissed: tuple[DomainText, ...] = Field(default=(), max_length=MAX_RULES)
    overrides: tuple[EndpointOverride, ...] = Field(default=(), max_length=MAX_RULES)
    drops_unknown_recipients: bool = False
    exchangers: tuple[ExchangerAccess, ...] = Field(default=(), max_length=MAX_EXCHANGERS)


class DkimStage(StrEnum):
    """Where a key stands: announced, signing, or kept for what it has signed."""

    NEXT = "next"
    CURRENT = "current"
    FORMER = "former"


class DkimKey(_Part):
    """The public half of a key that signs a node's mail: what its TXT record must say."""

    selector: str = Field(max_length=63)
    stage: DkimStage
    record: str = Field(max_length=1_000)


class PeerTraffic(_Part):
    """What went to a peer and came from it since the node started. `last_seen_seconds` is Unix time."""

    domain: DomainText
    queued: int = Field(ge=0)
    delivered_https: int = Field(ge=0)
    delivered_http: int = Field(ge=0)
    delivered_smtp: int = Field(ge=0)
    failed_https: int = Field(ge=0)
    failed_http: int = Field(ge=0)
    failed_smtp: int = Field(ge=0)
    refused: int = Field(ge=0, description="Messages that the peer, or our policy, will never let through.")
    received: int = Field(ge=0)
    mean_latency_seconds: float | None = Field(ge=0, description="Of what was delivered lately.")
    last_seen_seconds: int | None = Field(ge=0, description="When something last passed either way.")
    last_problem: str | None = Field(max_length=300)


class PeersAnswer(_Part):
    """Answer to the query `peers`: the most active ones, and how many there are in all."""

    peers: tuple[PeerTraffic, ...]
    total: int = Field(ge=0)
