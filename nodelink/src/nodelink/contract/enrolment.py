"""How a node becomes one of the fleet: what it is given, what it sends, what it gets back.

For: both ways of enrolment.

    join token     somebody else runs the node: `<kind>node join TOKEN`, used once
    admin command  the node's public key was recorded at the control plane; it is given an enrolment
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nodelink.contract.errors import ContractError, MalformedError
from nodelink.contract.keys import PublicKey
from nodelink.contract.states import NodeKind, NodeName, SpkiPin

PREFIX = "madfleet-join-"
MAX_TOKEN_CHARACTERS = 2048
URL_PATTERN = r"^https://[^/\s@?#]+$"


def _check_key(x: str) -> str:
    try:
        PublicKey(x)
    except ContractError as error:
        raise ValueError(str(error)) from error
    return x


class JoinToken(BaseModel):
    """What an operator gives to somebody who runs a node. `tls_pin` is `None` where a public CA vouches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=URL_PATTERN)
    secret: str = Field(min_length=16, max_length=128, repr=False)
    tls_pin: SpkiPin | None


class JoinRequest(BaseModel):
    """What a node sends to `POST /api/v1/enrolments`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    join_secret: str = Field(min_length=16, max_length=128, repr=False)
    kind: NodeKind
    public_key: str

    _key_is_one = field_validator("public_key")(_check_key)


class Enrolment(BaseModel):
    """What a node keeps of its enrolment: who it is, and whom it obeys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: NodeName
    kind: NodeKind
    url: str = Field(pattern=URL_PATTERN, description="Address of the control plane.")
    trusted_keys: tuple[str, ...] = Field(min_length=1, max_length=4)
    tls_pin: SpkiPin | None

    @field_validator("trusted_keys")
    @classmethod
    def _keys_are_some(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_check_key(key) for key in keys)


def write_join_token(token: JoinToken) -> str:
    """Write a token as one word that survives copying."""
    return PREFIX + urlsafe_b64encode(token.model_dump_json().encode()).decode().rstrip("=")


def read_join_token(text: str) -> JoinToken:
    """Read a token.

    Raises:
        MalformedError: It is none, or not all of one.
    """
    text = text.strip()
    if not text.startswith(PREFIX) or len(text) > MAX_TOKEN_CHARACTERS:
        raise MalformedError(f"this is no join token: it begins with {PREFIX}")
    body = text.removeprefix(PREFIX)
    try:
        return JoinToken.model_validate_json(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValidationError, ValueError) as error:
        raise MalformedError("the join token is damaged; copy all of it") from error
