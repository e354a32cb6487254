"""What an operator sets on the host of the control plane.

For: the daemon `controlplane` and the command `madfleet`, which read the same environment and file.
Not for: policy (policy/), which is changed at run time and kept in the database.
"""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from nodelink.contract.enrolment import URL_PATTERN
from nodelink.daemon.settings import AddressList, DaemonSettings


class ControlPlaneSettings(DaemonSettings):
    """Settings of `controlplane`. There is no secret among them: keys are files that it makes for itself."""

    model_config = SettingsConfigDict(env_prefix="CONTROLPLANE_")

    listen_addresses: AddressList = Field(
        default=("0.0.0.0", "::"),  # noqa: S104 - nodes dial in from anywhere
        description="Addresses to listen on.",
    )
    port: int = Field(default=8443, ge=1, le=65535, description="HTTPS port to listen on.")
    http_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port of ACME challenges and of the redirect to HTTPS; none where it is not set.",
    )
    acme_challenge_directory: Path | None = Field(
        default=None, description="Directory that an ACME client fills with files named by their tokens."
    )
    public_url: str = Field(
        pattern=URL_PATTERN,
        description="Address that nodes and admins use, such as https://control.example.org:8443.",
    )
    tls_certificate: Path = Field(description="Certificate chain in PEM form.")
    tls_key: Path = Field(description="Its private key in PEM form.")
    tls_pinned: bool = Field(
        default=False,
        description="Whether nodes trust the certificate's key itself, for as long as it is self-signed.",
    )
    fleet_name: str = Field(
        default="madfleet",
        pattern=r"^[^\s\"\\\x00-\x1f](?:[^\"\\\x00-\x1f]{0,62}[^\s\"\\\x00-\x1f])?$",
        description="What the fleet is called, on its pages and as the realm of its TURN nodes.",
    )
    new_accounts_per_minute: int = Field(
        default=60,
        ge=0,
        le=100_000,
        description="Accounts made here from one address on average; 0 = no limit.",
    )
    turn_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
        description="Name that leads to all TURN nodes; otherwise the address of one of them is handed out.",
    )
    turn_port: int = Field(
        default=3478, ge=1, le=65535, description="Port of the TURN nodes behind that name."
    )
