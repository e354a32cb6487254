"""What an operator sets on the host of the control plane.

For: the daemon `controlplane` and the command `madfleet`, which read the same environment and file.
Not for: policy (policy/), which is changed at run time and kept in the database.
"""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from controlplane.client_address import Network
from nodelink.contract.enrolment import URL_PATTERN
from nodelink.daemon.settings import AddressList, DaemonSettings

API_PATH = "/api/v1"
ADMIN_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$"
ADMIN_PATH = "/api/admin"
NODE_ADMIN_PATH = "/api/nodes/{name}/admin"
MADMAIL_ADMIN_ORIGIN = "https://admin.madmail.chat"
PATHS_OF_PAGES = frozenset({"admin", "assets", "inv", "join", "new", "sign-in", "sign-out"})

_STATIC_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{32,256}", re.ASCII)
"""What can stand behind `Bearer`. Source: RFC 6750 section 2.1."""

_ORIGIN = re.compile(
    r"https?://(?:[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?", re.ASCII
)
"""What a browser sends of a page. Source: RFC 6454 section 6.2."""


def _split_words(text: object) -> object:
    if not isinstance(text, str):
        return text
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _split_networks(text: object) -> object:
    if not isinstance(text, str):
        return text
    return tuple(ip_network(word.strip()) for word in text.split(",") if word.strip())


class ControlPlaneSettings(DaemonSettings):
    """Settings of `controlplane`. Keys are not among them: those are files that it makes for itself."""

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
    api_path: str = Field(
        default=API_PATH,
        pattern=r"^(/[A-Za-z0-9_-]{1,64}){1,8}$",
        description="Path of the Admin API; what nodes call stays where it is.",
    )
    admin_token: SecretStr | None = Field(
        default=None,
        description="An owner's token: 32 to 256 letters, digits and any of . _ ~ + / = -; none if not set.",
    )
    admin_token_name: str = Field(
        default="settings",
        pattern=ADMIN_NAME_PATTERN,
        description="Name of its owner; other tokens of this name are not taken.",
    )
    admin_path: str = Field(
        default=ADMIN_PATH,
        pattern=r"^(/[A-Za-z0-9_-]{1,64}){1,8}$",
        description="Path of the Madmail admin RPC.",
    )
    admin_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_words)] = Field(
        default=(MADMAIL_ADMIN_ORIGIN,),
        description="Sites whose pages may call the Madmail admin RPC, such as https://admin.example.org.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split_networks)] = Field(
        default=(),
        description="Networks of proxies that are believed who a client is, such as 192.0.2.0/28.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL database, as postgresql://NAME:PASSWORD@HOST/DATABASE?sslmode=verify-full; "
        "a SQLite file in the state directory if not set.",
    )
    webhook_private_networks: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split_networks)] = (
        Field(
            default=(),
            description="Private networks that webhooks may reach, such as 192.0.2.0/28; none if not set.",
        )
    )
    turn_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
        description="Name that leads to all TURN nodes; otherwise the address of one of them is handed out.",
    )
    turn_port: int = Field(
        default=3478, ge=1, le=65535, description="Port of the TURN nodes behind that name."
    )

    @field_validator("admin_token")
    @classmethod
    def _token_is_long(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not _STATIC_TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("a token has 32 to 256 letters, digits and any of . _ ~ + / = -")
        return token

    @field_validator("database_url")
    @classmethod
    def _url_is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            try:
                scheme = make_url(url.get_secret_value()).drivername
            except ArgumentError as error:
                raise ValueError("a URL such as postgresql://NAME:PASSWORD@HOST/DATABASE is due") from error
            if scheme not in {"postgresql", "postgres"}:
                raise ValueError("only postgresql://... is known; leave it out for SQLite")
        return url

    @field_validator("api_path", "admin_path")
    @classmethod
    def _path_is_free(cls, path: str) -> str:
        if path.split("/")[1] in PATHS_OF_PAGES:
            raise ValueError("the pages are there")
        return path

    @field_validator("admin_origins")
    @classmethod
    def _origins_are_exact(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no site; write it such as https://admin.example.org, no path"
                )
        return origins

    @field_validator("admin_path")
    @classmethod
    def _admin_path_is_free(cls, path: str, info: ValidationInfo) -> str:
        api_path = str(info.data.get("api_path", API_PATH))
        taken = {API_PATH, "/api/nodes"} | ({api_path} if path != ADMIN_PATH else set())
        if any(f"{path}/".startswith(f"{each}/") for each in taken):
            raise ValueError("the Admin API is there; write another path, such as /api/admin")
        return path
