"""What this node's own admin has set while the control plane was away.

For: the local admin, which changes them; the agent, which hands in what the control plane says; the report.
Not for: the policy's meaning (policy.py).

    control plane's policy ──┐
                             ├─▶ effective ─▶ PolicyHolder.current
    overrides (a file) ──────┘

An override holds until it is cleared, whatever the control plane says meanwhile; the report names it.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailnode.accounts.errors import AccountsError
from mailnode.accounts.policy import Policy, PolicyHolder
from nodelink.channel.files import write_durably

FILE_NAME = "overrides.json"


class OverridesError(AccountsError):
    """The overrides cannot be read or kept; the text names the remedy for the operator."""


class Overrides(BaseModel):
    """What is set here; `None` where the control plane decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    registration_open: bool | None = None
    jit_enabled: bool | None = None
    quota_bytes: int | None = Field(default=None, ge=0)
    message_bytes: int | None = Field(default=None, ge=1)


def effective(policy: Policy, overrides: Overrides) -> Policy:
    """Put the overrides over the policy that the control plane has given."""
    return replace(policy, **overrides.model_dump(exclude_none=True))


def list_overridden(overrides: Overrides) -> tuple[str, ...]:
    """List the settings that are set here, for the report."""
    return tuple(overrides.model_dump(exclude_none=True))


class LocalOverrides:
    """Keeps the overrides crash-safe in a file, and the policy in force up to date.

    What `policy.current` is at the beginning counts as the control plane's word.
    """

    def __init__(self, *, state_directory: Path, policy: PolicyHolder) -> None:
        self.policy = policy
        self.current = Overrides()
        self._given = policy.current
        self._path = state_directory / FILE_NAME
        self._changing = asyncio.Lock()

    def load(self) -> None:
        """Read the file, if there is one, and put it in force. Raises: OverridesError."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise OverridesError(
                f"{self._path} cannot be read: {error.strerror}. Mend its permissions and start again."
            ) from error
        try:
            self.current = Overrides.model_validate_json(content)
        except ValidationError as error:
            problem = error.errors()[0]
            raise OverridesError(
                f"{self._path} is wrong: {problem['msg']}. Correct it or remove it, and start again."
            ) from error
        self._put_in_force()

    def accept(self, policy: Policy) -> None:
        """Take what the control plane says; what is overridden here stays so."""
        self._given = policy
        self._put_in_force()

    async def change(self, **settings: bool | int | None) -> None:
        """Set some settings, or clear those that are `None`; durable and in force on return.

        Raises:
            OverridesError: The file cannot be written; nothing has changed.
            ValidationError: A value is out of its range.
        """
        async with self._changing:
            changed = Overrides.model_validate(self.current.model_dump() | settings)
            try:
                await asyncio.to_thread(
                    write_durably, self._path, changed.model_dump_json(exclude_none=True).encode()
                )
            except OSError as error:
                raise OverridesError(
                    f"{self._path} cannot be written: {error.strerror}. Free space."
                ) from error
            self.current = changed
            self._put_in_force()

    async def clear(self) -> None:
        """Let the control plane decide everything again. Raises: OverridesError."""
        await self.change(**dict.fromkeys(Overrides.model_fields))

    def _put_in_force(self) -> None:
        self.policy.current = effective(self._given, self.current)
