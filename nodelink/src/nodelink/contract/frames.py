"""What travels over the channel: one JSON object in each WebSocket message.

How a conversation goes, after the WebSocket was opened with an assertion:

    node ──▶ hello(applied_revision, trusted_keys)
         ◀── key_changes(documents)     those that lead from the keys of the node to the present one
         ◀── desired(document)          at once if the node is behind, later at each change
         ──▶ siblings_wanted(digest)    while the node lacks the list that its state names
         ◀── siblings(document)
         ──▶ report                     after applying, and every few seconds
         ◀── operation(document)        again and again until it is acknowledged
         ──▶ done(operation, problem)
         ◀── query(id, name, arguments)
         ──▶ answer(id, result | problem)

Queries only read; whatever changes something is a signed document.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from nodelink.contract.errors import MalformedError
from nodelink.contract.reports import Report
from nodelink.contract.states import MAX_REVISION

MAX_FRAME_BYTES = 5 << 20
MAX_PROBLEM_CHARACTERS = 1000
MAX_KEY_CHANGES = 64
"""So many travel in one frame; more of them follow in the next one."""

ShortText = Annotated[str, Field(max_length=64)]


class Frame(BaseModel):
    """Anything that travels."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Hello(Frame):
    """The node's first words. `trusted_keys` are public keys, the newest last; older nodes name none.

    `reads_sibling_list` is whether siblings may stand in a document of their own; older nodes know none.
    """

    type: Literal["hello"] = "hello"
    applied_revision: int = Field(ge=0, le=MAX_REVISION)
    software_version: str = Field(max_length=64)
    trusted_keys: tuple[ShortText, ...] = Field(default=(), max_length=4)
    reads_sibling_list: bool = False


class SiblingsWanted(Frame):
    """The node lacks the list of siblings that its desired state names."""

    type: Literal["siblings_wanted"] = "siblings_wanted"
    digest: str = Field(max_length=64)


class ReportFrame(Frame):
    """How the node is."""

    type: Literal["report"] = "report"
    report: Report


class Answer(Frame):
    """The answer to a query; `problem` is a sentence for people, `None` when there is a result."""

    type: Literal["answer"] = "answer"
    id: str = Field(max_length=64)
    result: JsonValue = None
    problem: str | None = Field(default=None, max_length=MAX_PROBLEM_CHARACTERS)


class Done(Frame):
    """An operation has been carried out, or refused for good (`problem`); it need not be sent again."""

    type: Literal["done"] = "done"
    operation: str = Field(max_length=64)
    problem: str | None = Field(default=None, max_length=MAX_PROBLEM_CHARACTERS)


class Desired(Frame):
    """A signed desired state."""

    type: Literal["desired"] = "desired"
    document: str


class Siblings(Frame):
    """A signed list of siblings."""

    type: Literal["siblings"] = "siblings"
    document: str


class KeyChanges(Frame):
    """Signed key changes, in their order."""

    type: Literal["key_changes"] = "key_changes"
    documents: tuple[str, ...] = Field(min_length=1, max_length=MAX_KEY_CHANGES)


class OperationFrame(Frame):
    """A signed operation."""

    type: Literal["operation"] = "operation"
    document: str


class Query(Frame):
    """A question that a node answers from what it knows."""

    type: Literal["query"] = "query"
    id: str = Field(max_length=64)
    name: str = Field(max_length=64)
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


FromNode = Annotated[Hello | ReportFrame | SiblingsWanted | Answer | Done, Field(discriminator="type")]
FromControlPlane = Annotated[
    Desired | Siblings | KeyChanges | OperationFrame | Query, Field(discriminator="type")
]

FrameT = TypeVar("FrameT")

_from_node: TypeAdapter[FromNode] = TypeAdapter(FromNode)
_from_control_plane: TypeAdapter[FromControlPlane] = TypeAdapter(FromControlPlane)


def read_frame_from_node(text: str | bytes) -> FromNode:
    """Read what a node sent. Raises: MalformedError."""
    return _read(_from_node, text)


def read_frame_from_control_plane(text: str | bytes) -> FromControlPlane:
    """Read what the control plane sent. Raises: MalformedError."""
    return _read(_from_control_plane, text)


def _read(adapter: TypeAdapter[FrameT], text: str | bytes) -> FrameT:
    if len(text) > MAX_FRAME_BYTES:
        raise MalformedError("the frame is too large")
    try:
        return adapter.validate_json(text)
    except (ValidationError, ValueError) as error:
        raise MalformedError("the frame is none of the contract") from error
