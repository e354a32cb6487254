"""Read a daemon's settings, and refuse wrong ones with a sentence that names the setting.

For: `Settings` classes of the daemons, which derive from `DaemonSettings` and set their own `env_prefix`.
Not for: policy that the control plane decides (contract.states).

Where a value comes from, the first that has it: `$CREDENTIALS_DIRECTORY` (for secrets, as systemd's
LoadCredential= puts them there: a file each, named as the setting in lower case), the environment, the
settings file (`NAME=value` lines, as systemd's EnvironmentFile= reads them), the default.
"""

import os
import sys
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from nodelink.daemon.errors import HostError

EXIT_BAD_CONFIGURATION = 2
MAX_PORTS = 64
"""In a list of ports; so many are told in a report (contract.ports)."""


def _split_addresses(text: object) -> object:
    if not isinstance(text, str):
        return text
    return tuple(str(ip_address(word.strip())) for word in text.split(",") if word.strip())


AddressList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_addresses), Field(min_length=1)]
"""IP addresses, separated by commas."""


MaybeAddresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_addresses)]
"""The same, or none."""


def _check_address(text: str | None) -> str | None:
    if text is not None:
        ip_address(text)
    return text


MaybeAddress = Annotated[str | None, AfterValidator(_check_address)]
"""One IP address, or none."""


def _split_ports(text: object) -> object:
    if not isinstance(text, str):
        return text
    return tuple(int(word) for word in text.split(",") if word.strip())


PortList = Annotated[
    tuple[Annotated[int, Field(ge=1, le=65535)], ...],
    NoDecode,
    BeforeValidator(_split_ports),
    Field(max_length=MAX_PORTS),
]
"""Ports, separated by commas; may be empty."""


class LogLevel(StrEnum):
    """How much is logged. Addresses of users are never logged above `debug`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class DaemonSettings(BaseSettings):
    """What every daemon can be told."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    state_directory: Path = Field(
        description="Directory for what must survive a restart; only root reads it."
    )
    log_level: LogLevel = Field(default=LogLevel.INFO, description="How much is logged.")
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="Loopback port for Prometheus; none where it is not set."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let a credential go before what an environment says; the library has it last."""
        del settings_cls
        return init_settings, file_secret_settings, env_settings, dotenv_settings


SettingsT = TypeVar("SettingsT", bound=DaemonSettings)


class BadSettingsError(HostError):
    """A setting is wrong; the text names it and says what to do."""


def read_settings(settings_class: type[SettingsT], file: Path | None) -> SettingsT:
    """Read and judge settings.

    Args:
        settings_class: What to read.
        file: A settings file, or `None` for the environment alone.

    Raises:
        BadSettingsError: A setting is wrong, missing or unknown, or the file or a credential cannot be read.
    """
    prefix = settings_class.model_config.get("env_prefix", "")
    if file is not None and not os.access(file, os.R_OK):
        raise BadSettingsError(f"The settings file {file} cannot be read. Check its name and its owner.")
    known = {prefix + name.upper() for name in settings_class.model_fields}
    for name in sorted(os.environ):
        if name.startswith(prefix) and name not in known:
            raise BadSettingsError(f"{name} is no setting. Remove it, or correct its spelling.")
    credentials = os.environ.get("CREDENTIALS_DIRECTORY") or None
    if credentials is not None and not (
        Path(credentials).is_dir() and os.access(credentials, os.R_OK | os.X_OK)
    ):
        raise BadSettingsError(
            f"The credentials in {credentials} cannot be read. Unset CREDENTIALS_DIRECTORY, or correct it."
        )
    try:
        return settings_class(_env_file=file, _secrets_dir=credentials)
    except (OSError, SettingsError) as error:
        raise BadSettingsError(
            f"The settings or credentials cannot be read: {error}. Correct the file's owner or what is in it."
        ) from error
    except ValidationError as error:
        raise BadSettingsError(_describe(prefix, error)) from error


def read_settings_or_exit(settings_class: type[SettingsT], file: Path | None) -> SettingsT:
    """Read settings; wrong ones end the process with one sentence and exit code 2."""
    try:
        return read_settings(settings_class, file)
    except BadSettingsError as error:
        refuse_configuration(str(error))


def refuse_configuration(sentence: str) -> NoReturn:
    """End the process because its configuration is wrong."""
    sys.stderr.write(sentence + "\n")
    raise SystemExit(EXIT_BAD_CONFIGURATION)


def _describe(prefix: str, error: ValidationError) -> str:
    problem = error.errors()[0]
    name = prefix + str(problem["loc"][0]).upper().removeprefix(prefix) if problem["loc"] else "The settings"
    match problem["type"]:
        case "missing":
            return f"{name} is missing. Set it and start again."
        case "extra_forbidden":
            return f"{name} is no setting. Remove it, or correct its spelling."
        case _:
            return f"{name} is wrong: {problem['msg']}. Correct it and start again."
