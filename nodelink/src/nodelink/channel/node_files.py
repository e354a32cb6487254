"""What a node keeps of its relation to the control plane, in its state directory.

    node-key.pem         its identity, made here, never sent
    enrolment.json       who it is, and whom it obeys
    desired-state.json   the last signed desired state, and the keys of the control plane that are trusted now
    siblings.json        the last signed list of siblings
    operations.json      the ids of operations that were carried out lately

For: agent and commands of a node. All of it is root's own, and survives a power cut.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nodelink.channel.files import make_private_directory, read_if_there, write_durably
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.errors import MalformedError
from nodelink.contract.keys import PrivateKey, PublicKey
from nodelink.daemon.errors import HostError

REMEMBERED_OPERATIONS = 1_000
"""How many operations a node knows to have carried out; the agent forgets the oldest."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class NodeFileError(HostError):
    """A file of the node is damaged; the text names it and the remedy."""


class KeptState(BaseModel):
    """The last desired state as it was signed; `document` is `None` before the first.

    `trusted_keys` are those in force now, the newest last. `document_keys` opened the document; they are
    empty where those are the same, as no key change came after it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trusted_keys: tuple[str, ...] = Field(min_length=1)
    document_keys: tuple[str, ...] = ()
    document: str | None


class KeptSiblings(BaseModel):
    """The last list of siblings as it was signed, and the keys that opened it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    document_keys: tuple[str, ...] = Field(min_length=1)
    document: str


class KeptOperations(BaseModel):
    """Operations that were carried out, the oldest first, with the problem that each had."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    done: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """The files, in a directory that is made if need be."""

    directory: Path

    def __post_init__(self) -> None:
        make_private_directory(self.directory)

    def load_identity(self) -> PrivateKey:
        """Read the node's key; make it, if the node has none yet.

        Raises:
            NodeFileError: The file holds something else.
        """
        path = self.directory / "node-key.pem"
        pem = read_if_there(path)
        if pem is None:
            key = PrivateKey.generate()
            write_durably(path, key.to_pem())
            return key
        try:
            return PrivateKey.from_pem(pem)
        except MalformedError as error:
            raise NodeFileError(
                f"{path} is damaged: {error}. Restore it, or remove it and enrol anew."
            ) from error

    def read_enrolment(self) -> Enrolment | None:
        """Read whom the node obeys; `None` before it is enrolled. Raises: NodeFileError."""
        return self._read("enrolment.json", Enrolment, "Enrol the node anew.")

    def keep_enrolment(self, enrolment: Enrolment) -> None:
        """Keep whom the node obeys from now on; a desired state of a former control plane is forgotten."""
        for name in ("desired-state.json", "siblings.json"):
            (self.directory / name).unlink(missing_ok=True)
        self._write("enrolment.json", enrolment)

    def is_following(self, offer: Enrolment) -> bool:
        """Tell whether the node follows the control plane of an offer already, with a key that it still has.

        Raises:
            NodeFileError: The enrolment that was kept is damaged.
        """
        enrolment = self.read_enrolment()
        if enrolment is None or enrolment.model_copy(update={"trusted_keys": offer.trusted_keys}) != offer:
            return False
        try:
            kept = self.read_state()
        except NodeFileError:
            kept = None
        trusted = enrolment.trusted_keys if kept is None else kept.trusted_keys
        return not set(trusted).isdisjoint(offer.trusted_keys)

    def read_state(self) -> KeptState | None:
        """Read the last desired state; `None` before the first. Raises: NodeFileError."""
        return self._read("desired-state.json", KeptState, "Remove it; the control plane will send it again.")

    def keep_state(self, document: str, trusted: tuple[PublicKey, ...]) -> None:
        """Keep a desired state that was checked, and the keys that it trusts."""
        self._write(
            "desired-state.json", KeptState(document=document, trusted_keys=tuple(key.x for key in trusted))
        )

    def keep_trusted_keys(self, trusted: tuple[PublicKey, ...]) -> None:
        """Keep which keys are trusted from now on, beside the desired state."""
        try:
            kept = self.read_state()
        except NodeFileError:
            kept = None  # the state is lost anyway, and will be sent again; the keys must not be
        keys = tuple(key.x for key in trusted)
        if kept is None:
            changed = KeptState(document=None, trusted_keys=keys)
        else:
            document_keys = kept.document_keys or kept.trusted_keys
            changed = kept.model_copy(update={"trusted_keys": keys, "document_keys": document_keys})
        self._write("desired-state.json", changed)

    def read_siblings(self) -> KeptSiblings | None:
        """Read the last list of siblings; `None` before the first. Raises: NodeFileError."""
        return self._read("siblings.json", KeptSiblings, "Remove it; the control plane will send it again.")

    def keep_siblings(self, kept: KeptSiblings) -> None:
        """Keep a list of siblings that was checked."""
        self._write("siblings.json", kept)

    def read_operations(self) -> dict[str, str | None]:
        """Read which operations were carried out. Raises: NodeFileError."""
        kept = self._read("operations.json", KeptOperations, "Remove it.")
        return dict(kept.done) if kept else {}

    def keep_operations(self, done: dict[str, str | None]) -> None:
        """Keep which operations were carried out, the oldest first."""
        self._write("operations.json", KeptOperations(done=done))

    def _read(self, name: str, model: type[ModelT], remedy: str) -> ModelT | None:
        path = self.directory / name
        content = read_if_there(path)
        if content is None:
            return None
        try:
            return model.model_validate_json(content)
        except ValidationError as error:
            raise NodeFileError(f"{path} is damaged. {remedy}") from error

    def _write(self, name: str, content: BaseModel) -> None:
        write_durably(self.directory / name, content.model_dump_json(indent=1).encode())
