"""Decide what a node is to do: a pure function of what is known.

For: the one place where policy, TURN and secrets become a desired state of the contract.
Not for: gathering what is known (desired.py), signing or sending (channel.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import assert_never

from controlplane.nodes.turn_access import TurnService
from controlplane.policy.models import FleetRules, PolicyValues
from controlplane.vault import Vault
from nodelink.contract.federation import FederationState
from nodelink.contract.ports import PortName
from nodelink.contract.states import (
    MailNodeState,
    MailPorts,
    NodeKind,
    NodeState,
    SiblingListName,
    TurnAccess,
    TurnNodeState,
    TurnPeer,
)

TURN_REALM = "madfleet"
"""Nobody reads it, and it is in every refusal of a TURN node: it must be short."""

CREDENTIAL_MARGIN_SECONDS = 86_400
"""How much longer than mail nodes make them valid a TURN node accepts credentials: clocks differ, and a
lowered lifetime reaches TURN nodes before the credentials from before have expired."""


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """What a process knows of its fleet since its start."""

    turn_name: str | None
    turn_port: int
    vault: Vault = field(repr=False)

    @property
    def named_turn(self) -> TurnService | None:
        """The name of the fleet's TURN nodes with its usual port; `None` where they have no common name."""
        return None if self.turn_name is None else TurnService(self.turn_name, self.turn_port)


@dataclass(frozen=True, slots=True)
class LiveSecrets:
    """What credentials for TURN are made with (`present`), and what is taken (`live`, the newest first)."""

    present: str = field(repr=False)
    live: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a desired state is made of. `policy` is what is in force on this node."""

    kind: NodeKind
    residue: int | None
    policy: PolicyValues
    rules: FleetRules
    turn: TurnService | None
    modulus: int
    secrets: LiveSecrets
    sibling_list: SiblingListName | None = None
    weight: int = 100
    is_draining: bool = False
    turn_peers: tuple[TurnPeer, ...] = ()
    federation: FederationState | None = None
    ports: Mapping[PortName, int] = field(default_factory=dict)


def decide_state(node: NodeFacts) -> NodeState:
    """Decide what a node is to do."""
    match node.kind:
        case NodeKind.MAIL:
            return MailNodeState(
                registration_open=node.policy.registration_open and not node.is_draining,
                jit_enabled=node.policy.jit_enabled,
                quota_bytes=node.policy.quota_bytes,
                message_bytes=node.policy.message_bytes,
                turn=_decide_turn_access(node),
                sibling_list=node.sibling_list,
                registration_token_required=node.policy.registration_token_required,
                message_retention_days=node.policy.message_retention_days,
                unused_account_days=node.policy.unused_account_days,
                large_message_retention_days=node.policy.large_message_retention_days,
                auto_trim=node.policy.auto_trim,
                app_accounts_enabled=node.policy.app_accounts_enabled,
                backup_addresses=node.policy.backup_addresses,
                weight=node.weight,
                push_enabled=node.policy.push_enabled,
                push_pauses=node.policy.push_pauses,
                federation=node.federation,
                ports=MailPorts.model_validate(node.ports),
            )
        case NodeKind.TURN:
            return TurnNodeState(
                realm=TURN_REALM,
                secrets=node.secrets.live,
                credential_lifetime_seconds=node.rules.turn_lifetime_seconds + CREDENTIAL_MARGIN_SECONDS,
                allocations_per_credential=node.rules.turn_allocations_per_credential,
                allocations=node.rules.turn_allocations,
                peers=node.turn_peers,
                is_draining=node.is_draining,
                port=node.ports.get(PortName.TURN),
            )
        case _:
            assert_never(node.kind)


def digest_state(state: NodeState, trusted_keys: Sequence[str]) -> str:
    """Compute what tells two states apart, and the keys that go with them.

    It reveals nothing: the secret within cannot be guessed.
    """
    return sha256(" ".join((state.model_dump_json(), *trusted_keys)).encode()).hexdigest()


def _decide_turn_access(node: NodeFacts) -> TurnAccess | None:
    if node.turn is None or node.residue is None or not node.policy.turn_enabled:
        return None
    return TurnAccess(
        host=node.turn.host,
        port=node.turn.port,
        secret=node.secrets.present,
        residue=node.residue,
        modulus=node.modulus,
        lifetime_seconds=node.rules.turn_lifetime_seconds,
    )
