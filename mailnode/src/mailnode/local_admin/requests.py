"""What may be asked over the socket: one JSON object a line, and one for the answer.

For: server.py and client.py.
Not for: carrying it out (actions.py).

    {"command": "change_ban", "address": "alice@example.org", "is_banned": true}
    {"ok": true, "result": {}}
    {"ok": false, "error": "There is no account of this address."}
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from mailnode.accounts.password import MAX_PASSWORD_LENGTH
from mailnode.local_admin.errors import LocalAdminError

MAX_LINE_BYTES = 64 << 10
MAX_RESULT_BYTES = 4 << 20
MAX_ACCOUNTS = 1_000

Address = Annotated[str, Field(min_length=1, max_length=320)]
Password = Annotated[str, Field(max_length=MAX_PASSWORD_LENGTH)]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ListAccounts(_Request):
    """List accounts by address, from the one behind `after`."""

    command: Literal["list_accounts"]
    after: str = Field(default="", max_length=320)
    limit: int = Field(default=100, ge=1, le=MAX_ACCOUNTS)


class ShowAccount(_Request):
    """Show an account with what it holds."""

    command: Literal["show_account"]
    address: Address


class CreateAccount(_Request):
    """Create an account; what is not given is invented."""

    command: Literal["create_account"]
    address: Address | None = None
    password: Password | None = None


class DeleteAccount(_Request):
    """Remove an account with its mail."""

    command: Literal["delete_account"]
    address: Address


class ChangePassword(_Request):
    """Give an account another password, an invented one if none is given."""

    command: Literal["change_password"]
    address: Address
    password: Password | None = None


class ChangeBan(_Request):
    """Ban an account or allow it again."""

    command: Literal["change_ban"]
    address: Address
    is_banned: bool


class ChangeQuota(_Request):
    """Give an account its own quota; `None` takes it away."""

    command: Literal["change_quota"]
    address: Address
    quota_bytes: int | None = Field(ge=0, lt=1 << 62)


class ShowSettings(_Request):
    """Show the policy in force, and what of it is set here."""

    command: Literal["show_settings"]


class ChangeSettings(_Request):
    """Set some settings here; `None` leaves a setting as it is."""

    command: Literal["change_settings"]
    registration_open: bool | None = None
    jit_enabled: bool | None = None
    quota_bytes: int | None = Field(default=None, ge=0, lt=1 << 62)
    message_bytes: int | None = Field(default=None, ge=1, lt=1 << 62)


class ClearSettings(_Request):
    """Let the control plane decide these settings again."""

    command: Literal["clear_settings"]
    settings: tuple[Literal["registration_open", "jit_enabled", "quota_bytes", "message_bytes"], ...] = Field(
        strict=False
    )


class ShowStatus(_Request):
    """Show how the node is."""

    command: Literal["show_status"]


Request = Annotated[
    ListAccounts
    | ShowAccount
    | CreateAccount
    | DeleteAccount
    | ChangePassword
    | ChangeBan
    | ChangeQuota
    | ShowSettings
    | ChangeSettings
    | ClearSettings
    | ShowStatus,
    Field(discriminator="command"),
]


class Answer(BaseModel):
    """What comes back: a result, or why there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ok: bool
    result: dict[str, JsonValue] = {}
    error: str = ""


_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)


def parse_request(line: bytes) -> Request:
    """Read a request. Raises: LocalAdminError, with the first thing that is wrong."""
    try:
        return _REQUEST.validate_json(line)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "request"
        raise LocalAdminError(f"The request is not understood: {place}: {problem['msg']}.") from error
