"""Keep every node's revision true to its desired state.

For: whoever has changed what a state is made of; he calls `renew_revisions` before the commit.
Not for: deciding (states.py, turn_access.py, policy/inheritance.py).

Nothing here knows what has changed: every state is decided anew, and a node whose state is another one than
at its revision gets the next revision. So no cause can be forgotten, and no node is woken for nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlmodel import Session, col, select, update

from controlplane.admins.audit import Author
from controlplane.exchangers.access import read_access
from controlplane.federation.layers import lay, write_state
from controlplane.federation.models import FederationWords
from controlplane.federation.words import list_layers, read_all_words, scope_of
from controlplane.nodes.fleet import begin_change, read_fleet
from controlplane.nodes.group_models import GroupMember
from controlplane.nodes.models import Fleet, Node
from controlplane.nodes.port_models import NodePort
from controlplane.nodes.reports import find_mail_candidates, find_turn_candidates
from controlplane.nodes.sibling_lists import read_sibling_list_name, renew_sibling_list
from controlplane.nodes.siblings import choose_siblings
from controlplane.nodes.states import (
    FleetFacts,
    LiveSecrets,
    NodeFacts,
    decide_state,
    digest_state,
)
from controlplane.nodes.turn_access import (
    announce,
    choose_for_pools,
    decide_modulus,
    list_turn_peers,
)
from controlplane.nodes.turn_pools import Choices, keep_choices, read_choices
from controlplane.nodes.turn_secrets import announce_next_secret, open_secrets, take_step
from controlplane.policy.inheritance import inherit, is_any_said
from controlplane.policy.models import (
    FleetPolicy,
    FleetRules,
    GroupPolicy,
    NodePolicy,
    Overrides,
    PolicyValues,
)
from controlplane.signing.keyring import read_key_rows
from nodelink.contract.federation import ExchangerAccess, FederationState
from nodelink.contract.ports import PortName
from nodelink.contract.states import NodeKind, NodeState, SiblingListName, TurnPeer


@dataclass(frozen=True, slots=True)
class Wanted:
    """A desired state with its revision."""

    revision: int
    state: NodeState


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds at one place: on a node that has words of its own, or on all others of its group."""

    policy: PolicyValues
    federation: FederationState


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What the desired states of nodes are made of: of all of them, or of those that were asked for.

    Most nodes of a large fleet say nothing of their own, so what is in force is decided once for each place.
    """

    fleet: Fleet
    policy: PolicyValues
    rules: FleetRules
    secrets: LiveSecrets
    sibling_list: SiblingListName | None
    turn_peers: tuple[TurnPeer, ...]
    turn_choices: Choices
    groups: dict[str, str]
    group_policies: dict[str, GroupPolicy]
    node_policies: dict[str, NodePolicy]
    federation: dict[str, FederationWords]
    exchangers: tuple[ExchangerAccess, ...]
    ports: dict[str, dict[PortName, int]]

    _in_force: dict[tuple[str | None, str | None], InForce] = field(init=False, default_factory=dict)

    def decide(self, node: Node) -> Wanted:
        """Decide what a node is to do."""
        name, kind = node.name, NodeKind(node.kind)
        group = self.groups.get(name)
        in_force = self._find_in_force(group, name)
        choice = self.turn_choices.get(group, self.turn_choices[None])
        # Mail nodes are not told of them; going through a hundred for each of a thousand would be most of it.
        peers = self.turn_peers if kind is NodeKind.TURN else ()
        facts = NodeFacts(
            kind=kind,
            residue=node.residue,
            policy=in_force.policy,
            rules=self.rules,
            turn=announce(choice.usual, in_force.policy.turn_announced_port, choice.offers),
            modulus=decide_modulus(self.fleet.mail_nodes_ever),
            secrets=self.secrets,
            sibling_list=self.sibling_list,
            weight=node.weight,
            is_draining=node.is_draining,
            turn_peers=tuple(peer for peer in peers if peer.name != name),
            federation=in_force.federation,
            ports=self.ports.get(name, {}),
        )
        return Wanted(node.revision, decide_state(facts))

    def _find_in_force(self, group: str | None, node: str) -> InForce:
        own = self.node_policies.get(node)
        speaks = scope_of(node=node) in self.federation or (own is not None and is_any_said(own))
        place = group, node if speaks else None
        if place not in self._in_force:
            layers: list[Overrides | None] = [self.group_policies.get(group or ""), own if speaks else None]
            self._in_force[place] = InForce(
                inherit(self.policy, [layer for layer in layers if layer is not None]),
                write_state(lay(list_layers(self.federation, *place)), self.exchangers),
            )
        return self._in_force[place]


def read_turn_peers(session: Session) -> tuple[TurnPeer, ...]:
    """Read the TURN nodes that others of their kind know, connected or not."""
    return list_turn_peers(find_turn_candidates(session, now_seconds=0))


def read_ingredients(
    session: Session,
    facts: FleetFacts,
    turn_peers: tuple[TurnPeer, ...],
    sibling_list: SiblingListName | None,
    names: Collection[str] | None = None,
) -> Ingredients:
    """Read what states are made of, by what the database says now; `names` are of all nodes if `None`."""
    members, policies, moved = select(GroupMember), select(NodePolicy), select(NodePort)
    if names is not None:
        members = members.where(col(GroupMember.node_name).in_(names))
        policies = policies.where(col(NodePolicy.node_name).in_(names))
        moved = moved.where(col(NodePort.node_name).in_(names))
    ports: dict[str, dict[PortName, int]] = {}
    for port in session.exec(moved):
        ports.setdefault(port.node_name, {})[PortName(port.name)] = port.number
    policy = session.exec(select(FleetPolicy)).one()
    return Ingredients(
        fleet=read_fleet(session),
        policy=PolicyValues.model_validate(policy),
        rules=FleetRules.model_validate(policy),
        secrets=open_secrets(session, facts.vault),
        sibling_list=sibling_list,
        turn_peers=turn_peers,
        turn_choices=read_choices(session),
        groups={member.node_name: member.group_name for member in session.exec(members)},
        group_policies={policy.group_name: policy for policy in session.exec(select(GroupPolicy))},
        node_policies={policy.node_name: policy for policy in session.exec(policies)},
        federation=read_all_words(session),
        exchangers=read_access(session, facts.vault),
        ports=ports,
    )


def read_wanted(session: Session, facts: FleetFacts, node: Node) -> Wanted:
    """Decide what one node is to do, by what the database says now."""
    name = read_sibling_list_name(session)
    return read_ingredients(session, facts, read_turn_peers(session), name, [node.name]).decide(node)


def renew_revisions(session: Session, facts: FleetFacts) -> None:
    """Give every node whose desired state has changed its next revision.

    The caller has begun a change.
    """
    session.flush()
    sibling_list = renew_sibling_list(session, choose_siblings(find_mail_candidates(session)))
    ingredients = read_ingredients(session, facts, read_turn_peers(session), sibling_list)
    trusted_keys = read_key_rows(session).trusted
    for node in session.exec(select(Node)).all():
        digest = digest_state(ingredients.decide(node).state, trusted_keys)
        if digest != node.state_digest:
            if node.state_digest:  # a new node has none: its first state is the one of its first revision
                node.revision += 1
            node.state_digest = digest
            session.add(node)
    session.flush()


def renew_turn_service(session: Session, facts: FleetFacts, now_seconds: int) -> bool:
    """Hand out another TURN service if the present one is not the best now; tell whether it was replaced."""
    if _choose(session, facts, now_seconds) == read_choices(session):
        return False
    begin_change(session)
    # What was read before others were held off is stale.
    keep_choices(session, _choose(session, facts, now_seconds))
    renew_revisions(session, facts)
    return True


def rotate_turn_secret(
    session: Session, facts: FleetFacts, author: Author, secret: str | None = None
) -> None:
    """Let another TURN secret follow the present one, `None` for a new one. Raises: TurnSecretsInUseError."""
    announce_next_secret(session, facts.vault, author, secret)
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


def _choose(session: Session, facts: FleetFacts, now_seconds: int) -> Choices:
    candidates = find_turn_candidates(session, now_seconds)
    return choose_for_pools(candidates, facts.named_turn, read_choices(session))
