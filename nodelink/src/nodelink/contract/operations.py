"""What needs doing once on a node, such as removing an account.

For: both sides. An operation is a signed document with an id; a node carries out each id once, however often
it is handed over, and then acknowledges it. It is signed anew each time that it is handed over, so a
document that was caught on its way is soon good for nothing.
Not for: anything that can be said as a state (states.py), nor for questions (frames.Query).
"""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from nodelink.contract.assertions import CLOCK_SKEW_SECONDS
from nodelink.contract.documents import DocumentType, open_document
from nodelink.contract.errors import MisaddressedError
from nodelink.contract.keys import PublicKey
from nodelink.contract.states import NodeName

VALID_FOR_SECONDS = 600
"""How long a signed operation may be handed over; a node that is connected takes it in seconds."""


class Operation(BaseModel):
    """One thing to do. The node knows which names there are and what arguments they take."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=8, max_length=64)
    node: NodeName
    name: str = Field(min_length=1, max_length=64)
    arguments: dict[str, JsonValue]
    issued_at_seconds: int = Field(ge=0)
    expires_at_seconds: int = Field(ge=0)


def open_operation(document: str, trusted: tuple[PublicKey, ...], node: str, now_seconds: int) -> Operation:
    """Check and read an operation.

    Raises:
        UnsignedError: It is not signed by a trusted key.
        MisaddressedError: It is for another node, not yet or no longer valid, or valid for too long.
        MalformedError: It cannot be read.
    """
    operation = open_document(document, trusted, DocumentType.OPERATION, Operation)
    if operation.node != node:
        raise MisaddressedError(f"the operation is for {operation.node}, not for {node}")
    issued, expires = operation.issued_at_seconds, operation.expires_at_seconds
    if expires - issued > VALID_FOR_SECONDS:
        raise MisaddressedError("the operation is valid for too long")
    if not issued - CLOCK_SKEW_SECONDS <= now_seconds < expires + CLOCK_SKEW_SECONDS:
        raise MisaddressedError("the operation is not valid now; it is an old one, or the clocks differ")
    return operation
