"""What the Admin API says about settings and services. There are no tables; policy has them.

Not for: the names (catalogue.py).
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from controlplane.fleet_settings.catalogue import Owner
from controlplane.policy.models import Followed


class SettingPublic(Followed):
    """A setting of the fleet or of a node, and who decides it."""

    name: str
    owner: Owner = Field(
        description="`policy` and `ports` can be set here, `ansible` in the inventory; `nobody`: not there."
    )
    variable: str | None = Field(description="The variable of Ansible.")
    meaning: str
    is_set: bool = Field(description="Whether somebody has said something here.")
    value: str | None = Field(description="What is said here; null for nothing, and for secrets.")
    in_force: str | None = Field(description="What holds; null where nodes differ, and for secrets.")


class ServicePublic(Followed):
    """Something that is on or off."""

    name: str
    is_offered: bool = Field(description="Whether it can be switched; false: it is not there, so it is off.")
    is_enabled: bool
    meaning: str


class SettingList(BaseModel):
    """All settings."""

    items: list[SettingPublic]


class ServiceList(BaseModel):
    """All services."""

    items: list[ServicePublic]


class SettingChange(BaseModel):
    """The request to set something."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Annotated[str, StringConstraints(strict=True, pattern=r"^[^\x00]*$")] = Field(
        min_length=1, max_length=256, repr=False, description="Such as `30M`, `14d` or `86400`."
    )


class ServiceChange(BaseModel):
    """The request to switch something."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    is_enabled: Annotated[bool, Field(strict=True)]
