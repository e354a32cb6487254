"""Registration tokens: who has one gets an account, as often as it says.

    take ──▶ used_count + 1, and the operation that makes the account, by one commit
                └── the node refuses, or is given up ──▶ used_count - 1, by the commit that notes that

    node    redeemed at            counted at
    null    the control plane      the control plane
    NAME    the page of that node  the control plane, which the node asks (node_endpoints.py)

For: `/new` and `/join` of the control plane, and the pages of nodes.
Not for: making accounts (service.py).

So a use is counted if and only if its account is made, or is still waited for, also across a crash.
"""

import secrets
import string
from collections.abc import Sequence

import structlog
from pydantic import JsonValue
from sqlmodel import Session, col, delete, or_, select, update

from controlplane.admins.access import WHOLE_FLEET, Place, Reach, Scope, is_reached
from controlplane.admins.audit import Author, record, record_difference
from controlplane.admins.audit_models import Action
from controlplane.errors import (
    InvitationExistsError,
    OutOfScopeError,
    TokenElsewhereError,
    TokenRefusedError,
    UnknownInvitationError,
    UnknownNodeError,
    WrongKindError,
)
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.groups import find_group_name
from controlplane.nodes.models import Node, NodeReport
from controlplane.nodes.reports import NodeFilter, read_report
from controlplane.plane import Plane
from controlplane.registration.token_models import (
    InvitationChange,
    InvitationPublic,
    InvitationRequest,
    InvitationState,
    RegistrationToken,
)
from controlplane.vault import Vault
from nodelink.contract.states import NodeKind
from nodelink.daemon.plain_http import write_origin

PURPOSE = "registration token"
TOKEN_LENGTH = 24
ID_BYTES = 6

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def create_invitation(
    session: Session, vault: Vault, author: Author, request: InvitationRequest
) -> RegistrationToken:
    """Make a registration token.

    Raises:
        InvitationExistsError: There is such a token already.
        UnknownNodeError: There is no such node.
        WrongKindError: It is no mail node.
    """
    begin_change(session)
    if request.node is not None:
        _check_mail_node(session, request.node)
    token = request.token or _invent()
    token_hash = vault.hash(PURPOSE, token)
    if _find(session, token_hash) is not None:
        raise InvitationExistsError
    id_ = secrets.token_hex(ID_BYTES)
    fields: dict[str, JsonValue] = {
        "node": request.node,
        "comment": request.comment,
        "max_uses": request.max_uses,
        "expires_at_seconds": request.expires_at_seconds,
    }
    row = RegistrationToken.model_validate(
        {
            "id": id_,
            "token_hash": token_hash,
            "sealed_token": vault.seal(f"{PURPOSE} {id_}", token),
            "used_count": 0,
            "created_at_seconds": author.now_seconds,
            **fields,
        }
    )
    session.add(row)
    record(session, author, Action.REGISTRATION_TOKEN_CREATE, id_, after=fields)
    log.info("registration token created", id=id_)
    return row


def change_invitation(
    session: Session, author: Author, id_: str, change: InvitationChange
) -> RegistrationToken:
    """Change how often or how long a token is taken. Raises: UnknownInvitationError."""
    begin_change(session)
    row = read_invitation(session, id_)
    after: dict[str, JsonValue] = change.model_dump(include=change.model_fields_set)
    before: dict[str, JsonValue] = {name: getattr(row, name) for name in after}
    for name, value in after.items():
        setattr(row, name, value)
    session.add(row)
    record_difference(session, author, Action.REGISTRATION_TOKEN_CHANGE, id_, (before, after))
    return row


def remove_invitation(session: Session, author: Author, id_: str) -> None:
    """Remove a token; accounts made by it stay. Raises: UnknownInvitationError."""
    begin_change(session)
    row = read_invitation(session, id_)
    session.delete(row)
    before: dict[str, JsonValue] = {"comment": row.comment, "used_count": row.used_count}
    record(session, author, Action.REGISTRATION_TOKEN_REMOVE, id_, before=before)
    log.info("registration token removed", id=id_)


def remove_node_invitations(session: Session, node: str) -> None:
    """Remove the tokens of a node that is none any more."""
    session.exec(delete(RegistrationToken).where(col(RegistrationToken.node) == node))


def read_invitation(session: Session, id_: str, scope: Scope = WHOLE_FLEET) -> RegistrationToken:
    """Look a token up by its id; one outside of the scope is as unknown as none.

    Raises:
        UnknownInvitationError: There is no such token.
    """
    row = None if "\0" in id_ else session.get(RegistrationToken, id_)
    if row is None or not _is_reached(session, scope, row.node):
        raise UnknownInvitationError(id=id_)
    return row


def find_invitation(session: Session, vault: Vault, token: str) -> RegistrationToken | None:
    """Find a token by its text; `None` where there is none."""
    return _find(session, vault.hash(PURPOSE, token))


def check_place(session: Session, scope: Scope, node: str | None) -> None:
    """See that a scope reaches where a token is to be for. Raises: OutOfScopeError."""
    if not _is_reached(session, scope, node):
        raise OutOfScopeError(scope=scope.name, node=node)


def page_invitations(
    session: Session, scope: Scope, after: str, limit: int, *, node: str | None = None
) -> Sequence[RegistrationToken]:
    """List the tokens within a scope by their ids, those after one; of one node if that is named."""
    statement = select(RegistrationToken).where(col(RegistrationToken.id) > after)
    if scope != WHOLE_FLEET:
        nodes = select(Node.name).where(*NodeFilter(scope).conditions)
        statement = statement.where(col(RegistrationToken.node).in_(nodes))
    if node is not None:
        statement = statement.where(col(RegistrationToken.node) == node)
    return session.exec(statement.order_by(col(RegistrationToken.id)).limit(limit)).all()


def describe_invitation(
    session: Session, plane: Plane, row: RegistrationToken, now_seconds: int
) -> InvitationPublic:
    """Describe a token, with its text."""
    origin = _find_origin(session, plane, row.node)
    page = "join" if row.node is None else ""
    token = plane.vault.open(f"{PURPOSE} {row.id}", row.sealed_token)
    return InvitationPublic.model_validate(
        row,
        update={
            "token": token,
            "register_url": None if origin is None else f"{origin}/{page}?token={token}",
            "state": judge_invitation(row, now_seconds),
        },
    )


def judge_invitation(row: RegistrationToken, now_seconds: int) -> InvitationState:
    """Say whether a token is taken."""
    if row.expires_at_seconds is not None and row.expires_at_seconds <= now_seconds:
        return InvitationState.EXPIRED
    return InvitationState.EXHAUSTED if row.used_count >= row.max_uses else InvitationState.ACTIVE


def check_token(session: Session, plane: Plane, token: str, node: str | None, now_seconds: int) -> str:
    """See that a token would be taken at the page of a node, or with `None` at our own; return its id.

    Nothing is counted.

    Raises:
        TokenRefusedError: It is unknown, used up or expired.
        TokenElsewhereError: It is for another page.
    """
    row = _find(session, plane.vault.hash(PURPOSE, token))
    if row is None or judge_invitation(row, now_seconds) is not InvitationState.ACTIVE:
        raise TokenRefusedError
    if row.node != node:
        raise TokenElsewhereError(_find_origin(session, plane, row.node))
    return row.id


def take_use(session: Session, id_: str, now_seconds: int) -> None:
    """Count a use, in the transaction that orders the account. Raises: TokenRefusedError."""
    # One statement compares and counts, so that of many who try at once no more get in than the token says.
    taken = session.exec(
        update(RegistrationToken)
        .where(
            col(RegistrationToken.id) == id_,
            col(RegistrationToken.used_count) < col(RegistrationToken.max_uses),
            or_(
                col(RegistrationToken.expires_at_seconds).is_(None),
                col(RegistrationToken.expires_at_seconds) > now_seconds,
            ),
        )
        .values(used_count=col(RegistrationToken.used_count) + 1)
    )
    if taken.rowcount != 1:
        raise TokenRefusedError


def give_use_back(session: Session, id_: str) -> None:
    """Count a use no more, in the transaction that notes that there is no account."""
    session.exec(
        update(RegistrationToken)
        .where(col(RegistrationToken.id) == id_, col(RegistrationToken.used_count) > 0)
        .values(used_count=col(RegistrationToken.used_count) - 1)
    )


def _check_mail_node(session: Session, name: str) -> None:
    node = session.get(Node, name)
    if node is None:
        raise UnknownNodeError(node=name)
    if node.kind != NodeKind.MAIL:
        raise WrongKindError(node=name)


def _is_reached(session: Session, scope: Scope, node: str | None) -> bool:
    if node is None:
        return is_reached(scope, Reach.FLEET, Place())
    return is_reached(scope, Reach.NODE, Place(node, find_group_name(session, node)))


def _find_origin(session: Session, plane: Plane, node: str | None) -> str | None:
    """Find where a token is redeemed; `None` for a node that has not said where it is."""
    if node is None:
        return plane.settings.public_url
    row = session.get(NodeReport, node)
    report = None if row is None else read_report(row)
    return (
        None
        if report is None or report.places is None
        else write_origin(report.places.host, report.public_port)
    )


def _find(session: Session, token_hash: str) -> RegistrationToken | None:
    statement = select(RegistrationToken).where(col(RegistrationToken.token_hash) == token_hash)
    return session.exec(statement).one_or_none()


def _invent() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(TOKEN_LENGTH))
