"""The table of the federation domain, and the schemas around it.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, StrictBool, model_validator
from pydantic import Field as PydanticField
from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Text
from sqlmodel import Field, SQLModel

from controlplane.policy.models import Followed
from nodelink.contract.federation import FederationMode, PeerTraffic, PeerTransport

MAX_OWN_RULES = 2_000
"""Of one scope: a node has those of the fleet, its group and its own together."""

_DOMAIN = re.compile(
    r"_?[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\._?[a-z0-9]([a-z0-9_-]*[a-z0-9])?)+|\[[0-9.]{7,15}\]|\[ipv6:[0-9a-f:.]{2,45}\]"
)
_TARGET = re.compile(
    r"(https?|smtp)://[A-Za-z0-9.\[\]:_-]+(/[\x21-\x7e]*)?|([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
)


def _check_domain(text: str) -> str:
    lowered = text.lower()
    if len(lowered) > 255 or not _DOMAIN.fullmatch(lowered):
        raise ValueError("a mail domain, such as example.org or [192.0.2.1], is needed")
    return lowered.replace("[ipv6:", "[IPv6:")


def _check_target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise ValueError("a host, host:port, or a URL with https, http or smtp is needed")
    return text


Domain = Annotated[str, PydanticField(max_length=255), AfterValidator(_check_domain)]
Target = Annotated[str, PydanticField(max_length=500), AfterValidator(_check_target)]


class Rule(SQLModel):
    """A domain that is blocked (mode accept) or allowed (mode reject)."""

    model_config = {"extra": "forbid"}

    domain: Domain
    transport: PeerTransport | None = Field(default=None, description="About this one only; null for all.")
    created_at_seconds: int | None = Field(default=None, ge=0, description="Set here; what is sent is kept.")


class Endpoint(SQLModel):
    """Where mail for a domain goes instead of to its MX."""

    model_config = {"extra": "forbid"}

    domain: Domain
    target: Target = Field(description="A host, host:port, or a URL.")
    comment: str = Field(default="", max_length=200)


Rules = Annotated[list[Rule], PydanticField(max_length=MAX_OWN_RULES)]
Endpoints = Annotated[list[Endpoint], PydanticField(max_length=MAX_OWN_RULES)]
Domains = Annotated[list[Domain], PydanticField(max_length=MAX_OWN_RULES)]
Transports = Annotated[list[PeerTransport], PydanticField(max_length=3)]


class FederationWords(SQLModel):
    """What one scope says: `null` where it follows. Lists add to those of the wider scopes."""

    is_enabled: bool | None = Field(default=None, description="Whether mail is exchanged with others at all.")
    mode: FederationMode | None = Field(default=None, description="What holds for a domain without a rule.")
    transports: list[PeerTransport] | None = Field(
        default=None, description="By what mail may go, and come: by HTTP it only goes."
    )
    drops_unknown_recipients: bool | None = Field(
        default=None, description="Whether mail for nobody is taken and dropped instead of refused."
    )
    rules: list[Rule] = Field(default=[])
    dismissed: list[str] = Field(default=[], description="Mail for these is taken from users and dropped.")
    endpoints: list[Endpoint] = Field(default=[])


class FederationChange(SQLModel):
    """The request: what is left out stays, `null` follows again, a list replaces the scope's own one."""

    model_config = {"extra": "forbid"}

    is_enabled: StrictBool | None = Field(default=None)
    mode: FederationMode | None = Field(default=None)
    transports: Transports | None = Field(default=None)
    drops_unknown_recipients: StrictBool | None = Field(default=None)
    rules: Rules = Field(default=[])
    dismissed: Domains = Field(default=[])
    endpoints: Endpoints = Field(default=[])

    @model_validator(mode="after")
    def _each_endpoint_is_there_once(self) -> Self:
        domains = [endpoint.domain for endpoint in self.endpoints]
        if len(set(domains)) != len(domains):
            raise ValueError("a domain has one endpoint")
        return self


class FederationInForce(SQLModel):
    """What holds."""

    is_enabled: bool
    mode: FederationMode
    transports: list[PeerTransport]
    drops_unknown_recipients: bool
    rules: list[Rule]
    dismissed: list[str]
    endpoints: list[Endpoint]


class FederationPolicy(SQLModel, table=True):
    """The words of one scope (JSON). There is no row for a scope that has said nothing."""

    __tablename__ = "federation_policy"
    __table_args__ = (
        ForeignKeyConstraint(["node_name"], ["node.name"], name="federation_policy_node", ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["group_name"], ["node_group.name"], name="federation_policy_group", ondelete="CASCADE"
        ),
        CheckConstraint("revision >= 1", name="federation_policy_revision_positive"),
    )

    scope: str = Field(primary_key=True)
    node_name: str | None = Field(default=None)
    group_name: str | None = Field(default=None)
    revision: int = Field(sa_type=BigInteger)
    words: str = Field(sa_type=Text)


class FederationPublic(Followed):
    """The response: what a scope says, and what holds there."""

    revision: int
    own: FederationWords
    in_force: FederationInForce


class PeerPublic(PeerTraffic):
    """What one node says of one peer."""

    node_name: str


class PeerList(SQLModel):
    """What nodes say of their peers, the latest first."""

    items: list[PeerPublic]
    missing_nodes: list[str]
