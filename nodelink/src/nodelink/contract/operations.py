"""What needs doing once on a node, such as removing an account.

For: both sides. An operation is a signed document with an id; a node carries out each id once, however often
it is handed over, and then acknowledges it.
Not for: anything that can be said as a state (states.py), nor for questions (frames.Query).
"""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from nodelink.contract.documents import DocumentType, open_document
from nodelink.contract.errors import MisaddressedError
from nodelink.contract.keys import PublicKey
from nodelink.contract.states import NodeName


class Operation(BaseModel):
    """One thing to do. The node knows which names there are and what arguments they take."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=8, max_length=64)
    node: NodeName
    name: str = Field(min_length=1, max_length=64)
    arguments: dict[str, JsonValue]
    issued_at_seconds: int = Field(ge=0)


def open_operation(document: str, trusted: tuple[PublicKey, ...], node: str) -> Operation:
    """Check and read an operation.

    Raises:
        UnsignedError: It is not signed by a trusted key.
        MisaddressedError: It is for another node.
        MalformedError: It cannot be read.
    """
    operation = open_document(document, trusted, DocumentType.OPERATION, Operation)
    if operation.node != node:
        raise MisaddressedError(f"the operation is for {operation.node}, not for {node}")
    return operation
