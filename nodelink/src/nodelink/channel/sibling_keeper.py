"""Have the list of siblings that the desired state names.

    state names a list ──▶ held already? ──▶ complete
                             └─▶ lacking ──▶ asked for, again and again ──▶ accepted, kept ──▶ complete

For: the agent. Until the list that is named is there, the former one holds: a state never waits for it.
Not for: asking (connection.py), nor for what a node does with its siblings.
"""

from dataclasses import dataclass, field

import structlog

from nodelink.channel.node_files import KeptSiblings, NodeFileError, NodeFiles
from nodelink.contract.errors import ContractError, MisaddressedError
from nodelink.contract.keys import PublicKey
from nodelink.contract.siblings import SiblingList, open_siblings
from nodelink.contract.states import MailNodeState, NodeState, SiblingListName

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CheckedSiblings:
    """A list that may be put in force as soon as it is on disk."""

    name: SiblingListName
    content: SiblingList
    kept: KeptSiblings


@dataclass(slots=True)
class SiblingKeeper:
    """The list that a node holds, and the one that its state names."""

    files: NodeFiles
    node: str
    _named: SiblingListName | None = field(init=False, default=None)
    _held_name: SiblingListName | None = field(init=False, default=None)
    _held: SiblingList | None = field(init=False, default=None)

    def restore(self) -> None:
        """Take up the list that was kept; one that is damaged will be asked for."""
        try:
            kept = self.files.read_siblings()
            if kept is not None:
                keys = tuple(PublicKey(x) for x in kept.document_keys)
                self._held_name, self._held = open_siblings(kept.document, keys)
        except (NodeFileError, ContractError) as error:
            log.error("kept siblings not usable", problem=str(error))  # noqa: TRY400 - the text says it all

    def complete(self, state: NodeState) -> NodeState:
        """Put the siblings into a state that comes into force, as far as they are known."""
        self._named = state.sibling_list if isinstance(state, MailNodeState) else None
        if self._named is None or self._held is None:
            return state
        return state.model_copy(update={"siblings": self._held.leave_out(self.node)})

    def tell_lacking(self) -> str | None:
        """Tell the digest of the list that must be asked for; `None` while nothing is lacking."""
        return None if self._named is None or self._named == self._held_name else self._named.digest

    def check(self, document: str, trusted: tuple[PublicKey, ...]) -> CheckedSiblings | None:
        """Check a list; `None` for the one that is in force already.

        Raises:
            ContractError: It is not signed by a trusted key, was altered, is an old one, or is not the one
                that the desired state names.
        """
        name, content = open_siblings(document, trusted)
        if self._named is None:
            raise MisaddressedError("no list of siblings is wanted here")
        if name.revision < self._named.revision:
            raise MisaddressedError(
                f"the list of siblings is an old one: revision {name.revision}, "
                f"while {self._named.revision} is wanted"
            )
        if name != self._named:
            raise MisaddressedError("the list of siblings is not the one that the desired state names")
        if name == self._held_name:
            return None
        kept = KeptSiblings(document=document, document_keys=tuple(key.x for key in trusted))
        return CheckedSiblings(name, content, kept)

    def hold(self, checked: CheckedSiblings) -> None:
        """Hold a list that is on disk."""
        self._held_name, self._held = checked.name, checked.content
        log.info("siblings known", revision=checked.name.revision, count=len(checked.content.siblings))
