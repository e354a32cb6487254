"""Keep every node's revision true to its desired state.

For: whoever has changed what a state is made of; he calls `renew_revisions` before the commit.
Not for: deciding (states.py, turn_access.py, policy/inheritance.py).

Nothing here knows what has changed: every state is decided anew, and a node whose state is another one than
at its revision gets the next revision. So no cause can be forgotten, and no node is woken for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select, update

from controlplane.admins.audit import Author
from controlplane.nodes.fleet import begin_change, read_fleet
from controlplane.nodes.groups import find_group_name, read_group_names
from controlplane.nodes.models import Fleet, Node
from controlplane.nodes.port_models import NodePort
from controlplane.nodes.reports import find_mail_candidates, find_turn_candidates
from controlplane.nodes.siblings import choose_siblings, leave_out
from controlplane.nodes.states import (
    FleetFacts,
    LiveSecrets,
    NodeFacts,
    decide_state,
    digest_siblings,
    digest_state,
)
from controlplane.nodes.turn_access import (
    TurnService,
    choose_named_service,
    choose_turn_service,
    decide_modulus,
    list_turn_peers,
)
from controlplane.nodes.turn_secrets import announce_next_secret, open_secrets, take_step
from controlplane.policy.inheritance import inherit
from controlplane.policy.models import (
    FleetPolicy,
    FleetRules,
    GroupPolicy,
    NodePolicy,
    Overrides,
    PolicyValues,
)
from controlplane.signing.keyring import read_key_rows
from nodelink.contract.ports import PortName
from nodelink.contract.states import NodeKind, NodeState, SiblingNode, TurnPeer


@dataclass(frozen=True, slots=True)
class Wanted:
    """A desired state with its revision."""

    revision: int
    state: NodeState


@dataclass(frozen=True, slots=True)
class Peers:
    """The nodes that are named to others of their kind."""

    mail: tuple[SiblingNode, ...] = ()
    turn: tuple[TurnPeer, ...] = ()


@dataclass(frozen=True, slots=True)
class _Common:
    """What the states of all nodes are made of."""

    fleet: Fleet
    policy: FleetPolicy
    secrets: LiveSecrets
    peers: Peers


def read_peers(session: Session) -> Peers:
    """Read the nodes that others know. Takes long in a large fleet: every report is read."""
    return Peers(
        choose_siblings(find_mail_candidates(session)),
        list_turn_peers(find_turn_candidates(session, now_seconds=0)),  # connected or not
    )


def read_wanted(session: Session, facts: FleetFacts, node: Node, peers: Peers) -> Wanted:
    """Decide what a node is to do, by what the database says now; `peers` are all nodes."""
    group_name = find_group_name(session, node.name)
    layers = [
        None if group_name is None else session.get(GroupPolicy, group_name),
        session.get(NodePolicy, node.name),
    ]
    common = _read_common(session, facts, peers)
    moved = session.exec(select(NodePort).where(col(NodePort.node_name) == node.name)).all()
    return Wanted(node.revision, decide_state(_gather(node, common, layers, moved)))


def renew_revisions(session: Session, facts: FleetFacts) -> None:
    """Give every node whose desired state has changed its next revision.

    The caller has begun a change.
    """
    session.flush()
    common = _read_common(session, facts, read_peers(session))
    policies = {policy.node_name: policy for policy in session.exec(select(NodePolicy))}
    groups = {policy.group_name: policy for policy in session.exec(select(GroupPolicy))}
    group_names = read_group_names(session)
    moved: dict[str, list[NodePort]] = {}
    for port in session.exec(select(NodePort)):
        moved.setdefault(port.node_name, []).append(port)
    digests = digest_siblings(common.peers.mail)
    trusted_keys = read_key_rows(session).trusted
    for node in session.exec(select(Node)).all():
        layers = [groups.get(group_names.get(node.name, "")), policies.get(node.name)]
        state = decide_state(_gather(node, common, layers, moved.get(node.name, ())))
        digest = digest_state(state, trusted_keys, digests)
        if digest != node.state_digest:
            if node.state_digest:  # a new node has none: its first state is the one of its first revision
                node.revision += 1
            node.state_digest = digest
            session.add(node)
    session.flush()


def renew_turn_service(session: Session, facts: FleetFacts, now_seconds: int) -> bool:
    """Hand out another TURN service if the present one is not the best now; tell whether it was replaced."""
    chosen = _choose(session, facts, read_fleet(session), now_seconds)
    if chosen == _in_use(read_fleet(session)):
        return False
    fleet = begin_change(session)
    chosen = _choose(session, facts, fleet, now_seconds)  # what was read before others were held off is stale
    fleet.turn_host, fleet.turn_port = (chosen.host, chosen.port) if chosen else (None, None)
    session.add(fleet)
    renew_revisions(session, facts)
    return True


def rotate_turn_secret(session: Session, facts: FleetFacts, author: Author) -> None:
    """Let another TURN secret follow the present one. Raises: TurnSecretsInUseError."""
    announce_next_secret(session, facts.vault, author)
    renew_revisions(session, facts)


def tend_turn_secrets(session: Session, facts: FleetFacts, now_seconds: int) -> bool:
    """Bring a rotation of the TURN secret a step further, if one is due; tell whether it was."""
    is_taken = take_step(session, now_seconds)
    if is_taken:
        renew_revisions(session, facts)
    return is_taken


def renew_siblings(session: Session, facts: FleetFacts) -> None:
    """Tell every node what has changed about another one of its kind."""
    begin_change(session)
    renew_revisions(session, facts)


def raise_revision(session: Session, name: str, applied_revision: int) -> None:
    """Get ahead of a node that has applied a revision which this database has not given out.

    That happens after a backup was restored. Without it, the node would take everything for old.
    """
    begin_change(session)
    session.exec(
        update(Node)
        .where(col(Node.name) == name, col(Node.revision) < applied_revision)
        .values(revision=applied_revision + 1)
    )


def _choose(session: Session, facts: FleetFacts, fleet: Fleet, now_seconds: int) -> TurnService | None:
    candidates = find_turn_candidates(session, now_seconds)
    if facts.turn_name is not None:
        usual = TurnService(facts.turn_name, facts.turn_port)
        return choose_named_service(candidates, usual, _in_use(fleet))
    return choose_turn_service(candidates, _in_use(fleet))


def _in_use(fleet: Fleet) -> TurnService | None:
    if fleet.turn_host is None or fleet.turn_port is None:
        return None
    return TurnService(fleet.turn_host, fleet.turn_port)


def _read_common(session: Session, facts: FleetFacts, peers: Peers) -> _Common:
    return _Common(
        read_fleet(session),
        session.exec(select(FleetPolicy)).one(),
        open_secrets(session, facts.vault),
        peers,
    )


def _gather(
    node: Node, common: _Common, layers: Sequence[Overrides | None], moved: Sequence[NodePort]
) -> NodeFacts:
    return NodeFacts(
        kind=NodeKind(node.kind),
        residue=node.residue,
        policy=inherit(
            PolicyValues.model_validate(common.policy), [layer for layer in layers if layer is not None]
        ),
        rules=FleetRules.model_validate(common.policy),
        turn=_in_use(common.fleet),
        modulus=decide_modulus(common.fleet.mail_nodes_ever),
        secrets=common.secrets,
        siblings=leave_out(common.peers.mail, node.name),
        is_draining=node.is_draining,
        turn_peers=tuple(peer for peer in common.peers.turn if peer.name != node.name),
        ports={PortName(port.name): port.number for port in moved},
    )
