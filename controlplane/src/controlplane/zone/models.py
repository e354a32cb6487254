"""The schemas of the zone domain. There is no table: the zone follows from what nodes report."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class RecordType(StrEnum):
    """The types that a fleet needs."""

    A = "A"
    AAAA = "AAAA"
    CAA = "CAA"
    MX = "MX"
    SRV = "SRV"
    TXT = "TXT"


class Purpose(StrEnum):
    """What a record is for, for an operator."""

    NODE = "the node"
    EXCHANGE = "where others hand mail over"
    SPF = "SPF"
    NEXT_KEY = "DKIM, next key"
    CURRENT_KEY = "DKIM, current key"
    FORMER_KEY = "DKIM, former key"
    DMARC = "DMARC"
    IMAP_TLS = "IMAP by TLS"
    IMAP = "IMAP by STARTTLS"
    SUBMISSION_TLS = "SMTP by TLS"
    SUBMISSION = "SMTP by STARTTLS"
    STS = "MTA-STS"
    STS_POLICY = "the policy of MTA-STS"
    AUTOCONFIG = "settings for mail apps"
    AUTHORITY = "who may certify"
    TURN = "TURN"


class ZoneRecord(BaseModel):
    """One record of the DNS."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Absolute, with the dot at its end.")
    type: RecordType
    ttl_seconds: int
    value: str = Field(description="As in a zone file.")
    domain: str = Field(description="The mail domain, or the name of TURN nodes, that it is for.")
    purpose: Purpose


class ZonePublic(BaseModel):
    """What the DNS must say of the fleet."""

    records: list[ZoneRecord]
    retired_names: list[str] = Field(
        description="Names of signing keys that nodes have forgotten: no TXT record is to be there."
    )
    notes: list[str] = Field(description="What is missing, or needs no record, and why.")
    zone_file: str = Field(description="The same as a file that a zone can include.")
