"""What an operator sets on the host of a mail node.

Not for: what the control plane decides for the node (nodelink.contract.states.MailNodeState).
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from mailnode.http.language import Language
from nodelink.channel.node_settings import NodeSettings
from nodelink.daemon.settings import AddressList, MaybeAddress, MaybeAddresses, PortList

IPV6_PREFIX = "[IPv6:"


class MailNodeSettings(NodeSettings):
    """Settings of `mailnode`. A public port is what clients are told; it differs behind a port forwarding."""

    model_config = SettingsConfigDict(env_prefix="MAILNODE_")

    runtime_directory: Path = Field(description="Directory of the local admin socket; only root enters it.")
    mail_domain: str = Field(
        pattern=r"^(_?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9.]{7,15}\]|\[IPv6:[0-9a-f:.]{2,45}\])$",
        description="What follows the @: a domain, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.",
    )
    public_host: str | None = Field(
        default=None,
        description="Name or address that clients connect to; otherwise that of the mail domain.",
    )
    listen_addresses: AddressList = Field(default=("0.0.0.0", "::"), description="Addresses to listen on.")  # noqa: S104 - a mail server listens to everybody
    published_addresses: MaybeAddresses = Field(
        default=(),
        description="Addresses that others reach the host by, for the DNS; otherwise those it listens on.",
    )
    smtp_tls_port: int = Field(default=465, ge=1, le=65535)
    smtp_starttls_port: int = Field(default=587, ge=1, le=65535)
    imap_tls_port: int = Field(default=993, ge=1, le=65535)
    imap_starttls_port: int = Field(default=143, ge=1, le=65535)
    https_port: int = Field(default=443, ge=1, le=65535, description="HTTPS, and IMAP and SMTP by ALPN.")
    http_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port of ACME challenges and of the redirect to HTTPS; none where it is not set.",
    )
    acme_challenge_directory: Path | None = Field(
        default=None, description="Directory that an ACME client fills with files named by their tokens."
    )
    alternate_ports: PortList = Field(
        default=(), description="Open ports that the control plane may move submission and IMAP to."
    )
    tls_certificate: Path = Field(description="Certificate chain in PEM form.")
    tls_key: Path = Field(description="Its private key in PEM form.")
    certificate_is_self_signed: bool = Field(
        default=False, description="Whether apps must be told to accept a certificate that no CA vouches for."
    )
    siblings_ca_file: Path | None = Field(
        default=None,
        description="CAs that vouch for the fleet's other mail nodes; otherwise those of the system.",
    )
    inbound_smtp_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port where servers of others hand mail over, 25; none where it is not set.",
    )
    peers_ca_file: Path | None = Field(
        default=None, description="CAs that vouch for servers of others; otherwise those of the system."
    )
    outbound_address: MaybeAddress = Field(
        default=None,
        description="Address that mail for servers of others leaves from, on a host with several.",
    )
    dns_servers: MaybeAddresses = Field(
        default=(), description="Name servers that are asked; otherwise those of the host."
    )
    dns_port: int = Field(default=53, ge=1, le=65535, description="Their port.")
    queue_hours: float = Field(
        default=48,
        ge=0.001,
        le=240,
        description="How long a message is tried again before its sender is told that it did not arrive.",
    )
    peer_messages_per_minute: int = Field(
        default=600,
        ge=0,
        le=1_000_000,
        description="Messages taken from one server of others on average; 0 = no limit.",
    )
    messages_per_minute: int = Field(
        default=60,
        ge=0,
        le=100_000,
        description="Messages that an account may send on average; 0 = no limit.",
    )
    new_accounts_per_minute: int = Field(
        default=60, ge=0, le=100_000, description="Accounts made from a /24 or /56 on average; 0 = none."
    )
    notification_proxy: str = Field(
        default="https://notifications.delta.chat/notify",
        pattern=r"^(https?://[^\s<>\"]+)?$",
        description="Where device tokens are sent to wake sleeping apps; empty = nowhere.",
    )
    service_name: str = Field(default="Madfleet", min_length=1, max_length=60)
    language: Language = Field(default=Language.EN, description="Language of the pages by default.")
    support_contact: str = Field(
        pattern=r"^(mailto:[^\s<>\"]+@[^\s<>\"]+|https://[^\s<>\"]+)$",
        description="Where users find help, as a mailto: or https: address.",
    )

    @model_validator(mode="after")
    def _published_addresses_are_some(self) -> Self:
        for address in self.published_addresses:
            ip_address(address)
        return self

    @model_validator(mode="after")
    def _address_literal_is_one(self) -> Self:
        if self.mail_domain.startswith("["):
            ip_address(self.mail_domain.removeprefix(IPV6_PREFIX).strip("[]"))
        return self

    @model_validator(mode="after")
    def _alternate_ports_are_free(self) -> Self:
        others = {self.https_port, self.http_port, self.smtp_tls_port, self.smtp_starttls_port}
        others |= {self.imap_tls_port, self.imap_starttls_port, self.metrics_port, self.inbound_smtp_port}
        for port in self.alternate_ports:
            if port in others:
                raise ValueError(f"alternate_ports has {port}, which another port setting has already")
        return self

    @property
    def host(self) -> str:
        """What clients connect to: a name, or an address without brackets."""
        return self.public_host or self.mail_domain.removeprefix(IPV6_PREFIX).strip("[]")
