"""Find what nodes are owed, for many of them at once: key changes, desired states, operations; all signed.

For: the desk.
Not for: when that is asked (channel.py), nor for what a state is made of (desired.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from controlplane.nodes.desired import Ingredients, Wanted, read_ingredients
from controlplane.nodes.models import Node
from controlplane.nodes.sibling_lists import read_sibling_list_name, read_siblings
from controlplane.nodes.states import FleetFacts
from controlplane.operations.models import NodeOperation
from controlplane.operations.service import group_waiting, write_contract
from controlplane.signing.keyring import SigningKeys, read_key_changes, read_signing_keys
from nodelink.contract.documents import DocumentType, sign_document
from nodelink.contract.siblings import SiblingList
from nodelink.contract.states import DesiredState, MailNodeState, TurnPeer


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What a channel asks for its node, which was sent `sent_revision` last and trusts these keys.

    `reads_sibling_list` is whether it knows siblings as a document of their own.
    """

    node: str
    public_key: str
    sent_revision: int
    trusted: tuple[str, ...]
    reads_sibling_list: bool = True


@dataclass(frozen=True, slots=True)
class Errand:
    """What a node is owed. `document` is `None` if it has the present desired state already.

    `key_changes` are signed documents in their order, `operations` are signed documents by id.
    """

    revision: int
    key_changes: list[str]
    document: str | None
    operations: dict[str, str]


def find_errands(
    session: Session,
    facts: FleetFacts,
    turn_peers: tuple[TurnPeer, ...],
    inquiries: Sequence[Inquiry],
    now_seconds: int,
) -> list[Errand | None]:
    """Find what each node is owed; `None` where no node has this key any more.

    The rows are read before what states are made of: so a state is at least as new as its revision, and
    whatever is newer has a revision to come. The key changes are read last, so that they lead from the
    keys that a node trusts to the one that has signed.
    """
    names = {inquiry.node for inquiry in inquiries}
    rows = {row.name: row for row in session.exec(select(Node).where(col(Node.name).in_(names)))}
    waiting = group_waiting(session, names)
    keys = read_signing_keys(session, facts.vault)
    behind = [each for each in inquiries if _is_behind(rows.get(each.node), each)]
    ingredients, siblings = None, None
    if behind:
        name = read_sibling_list_name(session)
        ingredients = read_ingredients(session, facts, turn_peers, name, {each.node for each in behind})
    if not all(each.reads_sibling_list for each in behind):
        siblings = read_siblings(session)
    desk = _Signing(keys, ingredients, siblings, now_seconds)
    changes = {
        trusted: read_key_changes(session, trusted) for trusted in {each.trusted for each in inquiries}
    }
    return [
        desk.write_errand(
            rows.get(each.node), each, waiting.get(each.node, ()), key_changes=changes[each.trusted]
        )
        for each in inquiries
    ]


def sign_state(keys: SigningKeys, node: str, wanted: Wanted, now_seconds: int) -> str:
    """Sign what is wanted of a node, with the keys that it is to trust from then on."""
    desired = DesiredState(
        node=node,
        revision=wanted.revision,
        issued_at_seconds=now_seconds,
        trusted_keys=keys.trusted,
        state=wanted.state,
    )
    return sign_document(keys.current, DocumentType.DESIRED_STATE, desired)


@dataclass(frozen=True, slots=True)
class _Signing:
    """What is signed with, and what is signed. `ingredients` are there if any node is behind."""

    keys: SigningKeys
    ingredients: Ingredients | None
    siblings: SiblingList | None
    now_seconds: int

    def write_errand(
        self, row: Node | None, inquiry: Inquiry, waiting: Sequence[NodeOperation], key_changes: list[str]
    ) -> Errand | None:
        if row is None or row.public_key != inquiry.public_key:
            return None
        document = None
        if self.ingredients is not None and _is_behind(row, inquiry):
            wanted = self.ingredients.decide(row)
            if not inquiry.reads_sibling_list:
                wanted = self._put_siblings_in(wanted, row.name)
            document = sign_state(self.keys, row.name, wanted, self.now_seconds)
        operations = {
            each.id: sign_document(
                self.keys.current, DocumentType.OPERATION, write_contract(each, self.now_seconds)
            )
            for each in waiting
        }
        return Errand(row.revision, key_changes, document, operations)

    def _put_siblings_in(self, wanted: Wanted, node: str) -> Wanted:
        """Write a state as nodes know it that are older than the list."""
        if self.siblings is None or not isinstance(wanted.state, MailNodeState):
            return wanted
        changes = {"siblings": self.siblings.leave_out(node), "sibling_list": None}
        return Wanted(wanted.revision, wanted.state.model_copy(update=changes))


def _is_behind(row: Node | None, inquiry: Inquiry) -> bool:
    return row is not None and row.public_key == inquiry.public_key and row.revision != inquiry.sent_revision
