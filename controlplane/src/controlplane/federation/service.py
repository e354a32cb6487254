"""The rules of changing with whom mail is exchanged, and of rotating signing keys.

For: every caller alike: REST, RPC, pages, the command line; whoever lends the session commits it.
Not for: HTTP, or who may call.
"""

import structlog
from pydantic import JsonValue
from sqlmodel import Session

from controlplane.admins.audit import Author, record, record_difference
from controlplane.admins.audit_models import Action
from controlplane.errors import WrongKindError
from controlplane.federation.layers import lay
from controlplane.federation.models import (
    FederationChange,
    FederationPolicy,
    FederationPublic,
    FederationWords,
    Rule,
)
from controlplane.federation.words import list_layers, read_all_words, read_words, scope_of
from controlplane.nodes.desired import renew_revisions
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.groups import find_group_name, read_group
from controlplane.nodes.states import FleetFacts
from controlplane.operations.models import NodeOperation, OperationName
from controlplane.operations.service import Part, add_operation, begin_with_node
from nodelink.contract.states import NodeKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def describe_federation(
    session: Session, *, group: str | None = None, node: str | None = None
) -> FederationPublic:
    """Describe what a scope says, and what holds there: of the fleet, of a group, or of a node.

    Raises:
        UnknownGroupError, UnknownNodeError: There is no such group or node.
        WrongKindError: It is no mail node.
    """
    _check_scope(session, group, node)
    row = session.get(FederationPolicy, scope_of(group=group, node=node))
    around = find_group_name(session, node) if node is not None else group
    return FederationPublic(
        revision=1 if row is None else row.revision,
        own=read_words(row),
        in_force=lay(list_layers(read_all_words(session), around, node)),
    )


def change_federation(  # noqa: PLR0913 - who, where, what
    session: Session,
    facts: FleetFacts,
    author: Author,
    change: FederationChange,
    *,
    group: str | None = None,
    node: str | None = None,
) -> None:
    """Put a change in force at every node of a scope. Raises: as `describe_federation`."""
    begin_change(session)
    _check_scope(session, group, node)
    scope = scope_of(group=group, node=node)
    row = session.get(FederationPolicy, scope)
    former = read_words(row)
    words = _apply(former, change, author.now_seconds)
    if words == former:
        return
    if row is None:
        row = FederationPolicy(scope=scope, node_name=node, group_name=group, revision=1, words="{}")
    row.words = words.model_dump_json()
    row.revision += 1
    session.add(row)
    values = former.model_dump(mode="json"), words.model_dump(mode="json")
    record_difference(session, author, Action.FEDERATION_CHANGE, node or group or "", values)
    renew_revisions(session, facts)
    log.info("federation changed", scope=scope, revision=row.revision)


def rotate_dkim_keys(session: Session, author: Author, node: str) -> NodeOperation:
    """Have a node announce its next signing keys. Raises: UnknownNodeError, WrongKindError."""
    begin_with_node(session, node)
    row = add_operation(session, OperationName.ROTATE_DKIM_KEYS, Part(node, {}, 0), author.now_seconds)
    after: dict[str, JsonValue] = {"operation": row.id}
    record(session, author, Action.DKIM_KEYS_ROTATE, node, after=after)
    return row


def _check_scope(session: Session, group: str | None, node: str | None) -> None:
    if node is not None:
        if read_node(session, node).kind != NodeKind.MAIL:
            raise WrongKindError(node=node)
    elif group is not None:
        read_group(session, group)


def _apply(words: FederationWords, change: FederationChange, now_seconds: int) -> FederationWords:
    """Write into words what a request names; a rule keeps the moment at which it was made."""
    values = {name: getattr(change, name) for name in change.model_fields_set}
    if "rules" in values:
        made = {(rule.domain, rule.transport): rule.created_at_seconds for rule in words.rules}
        rules = {
            (rule.domain, rule.transport): Rule(
                domain=rule.domain,
                transport=rule.transport,
                created_at_seconds=made.get((rule.domain, rule.transport)) or now_seconds,
            )
            for rule in change.rules
        }
        values["rules"] = list(rules.values())
    if "dismissed" in values:
        values["dismissed"] = sorted(set(change.dismissed))
    return FederationWords.model_validate(words.model_dump() | values)
