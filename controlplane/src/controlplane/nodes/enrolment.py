"""Become a node of the fleet, and cease to be one.

    join token     created ──▶ redeemed once ──▶ node         (the node brings its key)
    admin command  key in hand ──────────────▶ node
    retire         node ──▶ nothing: its channel is closed, its key is no longer accepted

For: both ways alike.
Not for: HTTP, or the file that a node is given (the callers build it from `describe_enrolment`).
"""

from dataclasses import dataclass
from secrets import token_urlsafe

import structlog
from pydantic import JsonValue
from sqlmodel import Session, col, delete, select, update

from controlplane.admins.access import Scope, ScopeKind
from controlplane.admins.audit import Author, record
from controlplane.admins.audit_models import Action
from controlplane.admins.tokens import revoke_scope
from controlplane.errors import (
    JoinRefusedError,
    KeyInUseError,
    NodeExistsError,
    UnknownNodeError,
)
from controlplane.nodes.desired import renew_revisions, renew_turn_service
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.group_models import GroupMember
from controlplane.nodes.models import (
    DEFAULT_WEIGHT,
    Fleet,
    JoinTicket,
    JoinTokenRequest,
    Node,
    NodeReport,
)
from controlplane.nodes.port_models import NodePort
from controlplane.nodes.states import FleetFacts
from controlplane.nodes.turn_access import decide_modulus
from controlplane.operations.models import NodeOperation
from controlplane.policy.models import NodePolicy
from controlplane.registration.tokens import give_use_back, remove_node_invitations
from controlplane.vault import Vault
from nodelink.contract.enrolment import JoinRequest
from nodelink.contract.states import NodeKind

SECONDS_PER_HOUR = 3600
REMEMBERED_HOURS = 30 * 24
"""So long after its end the log can still say of a join token whose it was."""
PURPOSE = "join token"
BY_JOIN_TOKEN = "join token"  # noqa: S105 - how somebody has shown who he is

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NewNode:
    """Who is to be a node. `key_is_replaced` lets a node that has this name already get this key."""

    name: str
    kind: NodeKind
    public_key: str
    key_is_replaced: bool


def create_ticket(
    session: Session, vault: Vault, request: JoinTokenRequest, author: Author
) -> tuple[JoinTicket, str]:
    """Invite a node; return the ticket and the secret that redeems it, which is kept nowhere.

    Raises:
        NodeExistsError: There is a node of this name, and its key is not to be replaced.
    """
    node = session.get(Node, request.name)
    if node is not None and not (request.replace_key and node.kind == request.kind):
        raise NodeExistsError(node=request.name)
    secret = token_urlsafe(32)
    ticket = JoinTicket.model_validate(
        {
            "node_name": request.name,
            "kind": request.kind,
            "secret_hash": vault.hash(PURPOSE, secret),
            "key_is_replaced": request.replace_key,
            "expires_at_seconds": author.now_seconds + request.valid_for_hours * SECONDS_PER_HOUR,
            "used_at_seconds": None,
        }
    )
    forgotten = author.now_seconds - REMEMBERED_HOURS * SECONDS_PER_HOUR
    session.exec(delete(JoinTicket).where(col(JoinTicket.expires_at_seconds) <= forgotten))
    session.add(ticket)
    invited = {"kind": request.kind.value, "replace_key": request.replace_key}
    record(session, author, Action.JOIN_TOKEN_CREATE, request.name, after=invited)
    log.info("join token created", node=request.name, kind=request.kind)
    return ticket, secret


def redeem_ticket(
    session: Session, vault: Vault, facts: FleetFacts, request: JoinRequest, now_seconds: int
) -> Node:
    """Take in a node that has a join token. If it is refused for another reason, the token stays good.

    Raises:
        JoinRefusedError: The token is unknown, used, expired, or for another kind of node.
        NodeExistsError: Meanwhile a node of this name was enrolled otherwise.
        KeyInUseError: Another node has this key.
    """
    secret_hash = vault.hash(PURPOSE, request.join_secret)
    by_secret = select(JoinTicket).where(col(JoinTicket.secret_hash) == secret_hash)
    if session.exec(by_secret).one_or_none() is None:
        raise JoinRefusedError(
            problem="the join token is unknown"
        )  # strangers, who guess, must not hold off changes
    begin_change(session)
    # One statement compares and sets, so that of many who try at once exactly one gets in.
    taken = session.exec(
        update(JoinTicket)
        .where(
            col(JoinTicket.secret_hash) == secret_hash,
            col(JoinTicket.kind) == request.kind.value,
            col(JoinTicket.used_at_seconds).is_(None),
            col(JoinTicket.expires_at_seconds) > now_seconds,
        )
        .values(used_at_seconds=now_seconds)
    )
    ticket = session.exec(by_secret).one()
    if taken.rowcount != 1:
        problem = _find_fault(ticket, request.kind, now_seconds)
        raise JoinRefusedError(node=ticket.node_name, problem=problem)
    new = NewNode(ticket.node_name, request.kind, request.public_key, ticket.key_is_replaced)
    return enrol_node(session, facts, new, Author(ticket.node_name, BY_JOIN_TOKEN, now_seconds))


def enrol_node(session: Session, facts: FleetFacts, new: NewNode, author: Author) -> Node:
    """Make somebody a node; one that is enrolled with this very key is left as it is.

    Raises:
        NodeExistsError: There is a node of this name with another key, or of another kind.
        KeyInUseError: Another node has this key.
        FleetFullError: There are no more residues for mail nodes.
    """
    fleet = begin_change(session)
    owner = session.exec(select(Node).where(col(Node.public_key) == new.public_key)).one_or_none()
    if owner is not None and owner.name != new.name:
        raise KeyInUseError(node=new.name, owner=owner.name)
    node = session.get(Node, new.name)
    if node is None:
        record(session, author, Action.NODE_ENROL, new.name, after=_describe_key(new.kind, new.public_key))
        return _add_node(session, facts, fleet, new, author.now_seconds)
    if node.kind != new.kind or not (node.public_key == new.public_key or new.key_is_replaced):
        raise NodeExistsError(node=new.name)
    if node.public_key != new.public_key:
        former, present = (_describe_key(new.kind, key) for key in (node.public_key, new.public_key))
        record(session, author, Action.NODE_KEY_REPLACE, new.name, before=former, after=present)
        node.public_key = new.public_key
        node.enrolled_at_seconds = author.now_seconds
        session.add(node)
        renew_revisions(session, facts)  # its siblings know it by its key
        log.info("node key replaced", node=new.name)
    return node


def retire_node(session: Session, facts: FleetFacts, name: str, author: Author) -> None:
    """Make a node none of the fleet any more; what was to be done on it is dropped, tokens of it are revoked.

    Raises:
        UnknownNodeError: There is no node of this name.
    """
    begin_change(session)
    node = read_node(session, name)
    record(
        session,
        author,
        Action.NODE_RETIRE,
        name,
        before=_describe_key(NodeKind(node.kind), node.public_key),
    )
    revoke_scope(session, author, Scope(ScopeKind.NODE, name))
    session.exec(delete(NodeReport).where(col(NodeReport.node_name) == name))
    session.exec(delete(NodePolicy).where(col(NodePolicy.node_name) == name))
    session.exec(delete(NodePort).where(col(NodePort.node_name) == name))
    _drop_operations(session, name)
    remove_node_invitations(session, name)
    session.exec(delete(GroupMember).where(col(GroupMember.node_name) == name))
    session.exec(
        update(JoinTicket)
        .where(col(JoinTicket.node_name) == name, col(JoinTicket.used_at_seconds).is_(None))
        .values(used_at_seconds=author.now_seconds)
    )
    session.exec(delete(Node).where(col(Node.name) == name))
    if not renew_turn_service(session, facts, author.now_seconds):
        renew_revisions(session, facts)  # its siblings forget it
    log.info("node retired", node=name)


def read_node(session: Session, name: str) -> Node:
    """Look a node up.

    Raises:
        UnknownNodeError: There is no node of this name.
    """
    # A NUL is no character of a name, and PostgreSQL takes none in a parameter.
    node = None if "\0" in name else session.get(Node, name)
    if node is None:
        raise UnknownNodeError(node=name)
    return node


def _find_fault(ticket: JoinTicket, kind: NodeKind, now_seconds: int) -> str:
    """Say why a ticket that is known does not hold."""
    if ticket.kind != kind:
        return f"the join token is for a {ticket.kind} node"
    if ticket.used_at_seconds is not None:
        return "the join token was used before, or withdrawn"
    if ticket.expires_at_seconds <= now_seconds:
        return "the join token has expired"
    raise AssertionError(ticket)  # it would have been taken


def _add_node(session: Session, facts: FleetFacts, fleet: Fleet, new: NewNode, now_seconds: int) -> Node:
    residue = None
    if new.kind is NodeKind.MAIL:
        residue = fleet.mail_nodes_ever
        fleet.mail_nodes_ever += 1
        decide_modulus(fleet.mail_nodes_ever)
        session.add(fleet)
    node = Node.model_validate(
        {
            "name": new.name,
            "kind": new.kind,
            "public_key": new.public_key,
            "enrolled_at_seconds": now_seconds,
            "revision": 1,
            "residue": residue,
            "state_digest": "",
            "weight": DEFAULT_WEIGHT,
            "label": "",
            "is_draining": False,
        }
    )
    session.add(node)
    session.flush()
    session.add(NodePolicy.model_validate({"node_name": new.name, "revision": 1}))
    renew_revisions(session, facts)
    log.info("node enrolled", node=new.name, kind=new.kind)
    return node


def _drop_operations(session: Session, name: str) -> None:
    """Drop what was to be done on a node; uses of registration tokens that wait for it are given back."""
    waiting = select(NodeOperation.registration_token_id).where(
        col(NodeOperation.node_name) == name,
        col(NodeOperation.acknowledged_at_seconds).is_(None),
        col(NodeOperation.registration_token_id).is_not(None),
    )
    for token_id in session.exec(waiting).all():
        give_use_back(session, token_id or "")
    session.exec(delete(NodeOperation).where(col(NodeOperation.node_name) == name))


def _describe_key(kind: NodeKind, public_key: str) -> dict[str, JsonValue]:
    return {"kind": kind.value, "public_key": public_key}
