"""What a mail node sends to the control plane when somebody shows a registration token at its page.

    node ── Redemption, signed ──▶ control plane    counts the use, orders the account on that node
         ◀──── RedemptionAnswer ──                  the account, when it works, or why there is none

For: both sides. The assertion that goes with a redemption is for its content alone (`digest_redemption`).
Not for: making the account, which is an operation as any other (operations.py).
"""

from enum import StrEnum
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nodelink.contract.accounts import Address
from nodelink.contract.enrolment import URL_PATTERN
from nodelink.contract.errors import MalformedError

REDEMPTION_PATH = "/api/v1/redemptions"
MAX_TOKEN_CHARACTERS = 64

PageOrigin = Annotated[str, Field(pattern=URL_PATTERN, max_length=512)]


class RefusalReason(StrEnum):
    """Why a token makes no account."""

    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason
    TOKEN_ELSEWHERE = "token_elsewhere"  # noqa: S105 - a reason
    CLOSED = "closed"
    NO_ROOM = "no_room"


class Redemption(BaseModel):
    """A token that somebody has shown."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str = Field(min_length=1, max_length=MAX_TOKEN_CHARACTERS, repr=False)


class MadeAccount(BaseModel):
    """An account that is there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    address: Address
    password: str = Field(min_length=1, max_length=1024, repr=False)


class RefusedRedemption(BaseModel):
    """Why there is none. `origin` is where a token is for that is for elsewhere, if that is known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: RefusalReason
    origin: PageOrigin | None = None


class RedemptionAnswer(BaseModel):
    """What became of a redemption."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    account: MadeAccount | None = None
    refused: RefusedRedemption | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "RedemptionAnswer":
        if (self.account is None) == (self.refused is None):
            raise ValueError("there is either an account or a reason")
        return self


def digest_redemption(body: bytes) -> str:
    """Compute what the node signs: all of it, and what it is."""
    return sha256(b"redemption 1\n" + sha256(body).digest()).hexdigest()


def read_redemption(body: bytes) -> Redemption:
    """Read what a node has sent. Raises: MalformedError."""
    try:
        return Redemption.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError("this is no redemption") from error


def read_redemption_answer(content: bytes) -> RedemptionAnswer:
    """Read what the control plane answers. Raises: MalformedError."""
    try:
        return RedemptionAnswer.model_validate_json(content)
    except ValidationError as error:
        raise MalformedError("this is no answer to a redemption") from error
