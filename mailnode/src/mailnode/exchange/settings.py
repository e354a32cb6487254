"""What an operator sets on the host of an exchanger. Nobody else decides anything about it.

Not for: what the lists of domains mean (domains.py).
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from mailnode.exchange.domains import read_forwarded, read_kept
from nodelink.daemon.settings import AddressList, DaemonSettings, MaybeAddress, MaybeAddresses

MAX_MESSAGE_BYTES = 45 << 20
"""In base64, a node still reads it in one answer (peering.exchangers.MAX_ANSWER_BYTES)."""


def _read_kept(value: object) -> object:
    return read_kept(value) if isinstance(value, str) else value


def _read_forwarded(value: object) -> object:
    return read_forwarded(value) if isinstance(value, str) else value


class ExchangeSettings(DaemonSettings):
    """Settings of `mailnode exchange serve`."""

    model_config = SettingsConfigDict(env_prefix="EXCHANGE_")

    public_host: str = Field(
        pattern=r"^([A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45})$",
        description="Name or address that servers reach it by, without brackets.",
    )
    kept: Annotated[dict[str, tuple[str, ...]], NoDecode, BeforeValidator(_read_kept)] = Field(
        default={},
        description="Domains whose mail waits to be fetched: DOMAIN=DIGEST, separated by commas.",
    )
    forwarded: Annotated[dict[str, str], NoDecode, BeforeValidator(_read_forwarded)] = Field(
        default={},
        description="Domains whose mail is passed on: DOMAIN or DOMAIN=URL, separated by commas.",
    )
    listen_addresses: AddressList = Field(default=("0.0.0.0", "::"), description="Addresses to listen on.")  # noqa: S104 - servers may be anywhere
    https_port: int = Field(default=443, ge=1, le=65535)
    http_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port of ACME challenges and of the redirect to HTTPS; none where it is not set.",
    )
    acme_challenge_directory: Path | None = Field(
        default=None, description="Directory that an ACME client fills with files named by their tokens."
    )
    tls_certificate: Path = Field(description="Certificate chain in PEM form.")
    tls_key: Path = Field(description="Its private key in PEM form.")
    ca_file: Path | None = Field(
        default=None, description="CAs that vouch for where mail is forwarded; otherwise those of the system."
    )
    outbound_address: MaybeAddress = Field(
        default=None, description="Address that mail is forwarded from, on a host with several."
    )
    dns_servers: MaybeAddresses = Field(
        default=(), description="Name servers that are asked; otherwise those of the host."
    )
    dns_port: int = Field(default=53, ge=1, le=65535, description="Their port.")
    message_bytes: int = Field(
        default=32 << 20, ge=1 << 16, le=MAX_MESSAGE_BYTES, description="The largest message that is taken."
    )
    domain_bytes: int = Field(
        default=1 << 30, ge=1 << 16, le=1 << 44, description="How much may wait for one domain."
    )
    total_bytes: int = Field(
        default=8 << 30, ge=1 << 16, le=1 << 44, description="How much may wait for all domains together."
    )
    keep_hours: int = Field(
        default=168, ge=1, le=2160, description="How long a message waits to be fetched before it is dropped."
    )
    forward_hours: int = Field(
        default=48, ge=1, le=240, description="How long a message is tried again before it is dropped."
    )
    messages_per_minute: int = Field(
        default=600,
        ge=0,
        le=1_000_000,
        description="Messages taken from one address on average; 0 = no limit.",
    )

    @model_validator(mode="after")
    def _it_is_for_somebody(self) -> Self:
        both = sorted(self.kept.keys() & self.forwarded.keys())
        if both:
            raise ValueError(f"{both[0]} is both in EXCHANGE_KEPT and in EXCHANGE_FORWARDED; choose one")
        if not self.kept and not self.forwarded:
            raise ValueError("EXCHANGE_KEPT and EXCHANGE_FORWARDED are empty; list a domain in one of them")
        return self

    @model_validator(mode="after")
    def _there_is_space_for_a_message(self) -> Self:
        if not self.message_bytes <= self.domain_bytes <= self.total_bytes:
            raise ValueError(
                "EXCHANGE_MESSAGE_BYTES, _DOMAIN_BYTES and _TOTAL_BYTES must not become smaller in this order"
            )
        return self

    @model_validator(mode="after")
    def _ports_are_different(self) -> Self:
        ports = [port for port in (self.https_port, self.http_port, self.metrics_port) if port is not None]
        if len(set(ports)) < len(ports):
            raise ValueError("EXCHANGE_HTTPS_PORT, _HTTP_PORT and _METRICS_PORT must differ")
        return self
