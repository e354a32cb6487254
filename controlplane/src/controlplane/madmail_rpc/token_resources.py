"""Registration tokens: the fleet's at its own address of this API, a node's at that of the node.

Not for: rules (registration/tokens.py).
"""

from pydantic import JsonValue, ValidationError
from sqlmodel import Session, col, func, select

from controlplane.admins.access import WHOLE_FLEET, Scope, ScopeKind
from controlplane.errors import UnknownInvitationError
from controlplane.fleet_settings.values import read_period_seconds
from controlplane.madmail_rpc.arguments import read_needed_text, read_number, read_text
from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.envelope import RpcAnswer, RpcError
from controlplane.madmail_rpc.moments import read_moment, write_moment
from controlplane.operations.models import NodeOperation
from controlplane.registration import tokens
from controlplane.registration.token_models import (
    MAX_COMMENT,
    MAX_USES,
    InvitationChange,
    InvitationRequest,
    RegistrationToken,
)

BATCH = 500
WRONG = "token: 8 to 64 letters, digits, - and _; max_uses up to 1000000; comment without line breaks"


async def list_tokens(call: Call) -> RpcAnswer:
    """List the registration tokens with their text."""
    scope = WHOLE_FLEET if call.node is None else Scope(ScopeKind.NODE, call.node)

    def look(session: Session) -> list[JsonValue]:
        found: list[JsonValue] = []
        after = ""
        while rows := tokens.page_invitations(session, scope, after, BATCH):
            found += [_write_token(session, call, row) for row in rows if row.node == call.node]
            after = rows[-1].id
        return found

    entries = await call.read(look)
    return RpcAnswer({"tokens": entries, "total": len(entries)})


async def put_token(call: Call) -> RpcAnswer:
    """Make a registration token, or change the one of this text."""
    text = read_text(call.body, "token")
    max_uses, comment = (
        read_number(call.body, "max_uses"),
        read_text(call.body, "comment", longest=MAX_COMMENT),
    )
    uses = None if max_uses is None else min(max(max_uses, 1), MAX_USES + 1)
    expires_at_seconds = _read_expiry(call)

    def change(session: Session) -> tuple[JsonValue, int]:
        row = _find(session, call, text) if text else None
        if row is None:
            request = InvitationRequest(
                token=text or None,
                node=call.node,
                max_uses=uses or 1,
                comment=comment,
                expires_at_seconds=expires_at_seconds,
            )
            made = tokens.create_invitation(session, call.site.plane.vault, call.author, request)
            session.flush()
            return _write_token(session, call, made), 201
        said: dict[str, object] = {"max_uses": uses, "expires_at_seconds": expires_at_seconds}
        said |= {"comment": comment} if "comment" in call.body else {}
        wanted = InvitationChange.model_validate(
            {key: each for key, each in said.items() if each is not None}
        )
        changed = tokens.change_invitation(session, call.author, row.id, wanted)
        return _write_token(session, call, changed), 200

    try:
        entry, status = await call.change(change)
    except ValidationError as error:
        raise RpcError(400, WRONG) from error
    return RpcAnswer(entry, status)


async def delete_token(call: Call) -> RpcAnswer:
    """Remove a registration token; accounts made by it stay."""
    text = read_needed_text(call.body, "token")

    def change(session: Session) -> None:
        row = _find(session, call, text)
        if row is None:
            raise UnknownInvitationError
        tokens.remove_invitation(session, call.author, row.id)

    await call.change(change)
    return RpcAnswer({"deleted": text})


def _find(session: Session, call: Call, text: str) -> RegistrationToken | None:
    row = tokens.find_invitation(session, call.site.plane.vault, text)
    return None if row is None or row.node != call.node else row


def _read_expiry(call: Call) -> int | None:
    period, moment = read_text(call.body, "expires_in"), read_text(call.body, "expires_at")
    if period:
        return call.now_seconds + read_period_seconds(period)
    return read_moment(moment) if moment else None


def _write_token(session: Session, call: Call, row: RegistrationToken) -> JsonValue:
    waiting = session.exec(
        select(func.count())
        .select_from(NodeOperation)
        .where(
            col(NodeOperation.registration_token_id) == row.id,
            col(NodeOperation.acknowledged_at_seconds).is_(None),
        )
    ).one()
    shown = tokens.describe_invitation(session, call.site.plane, row, call.now_seconds)
    return {
        "token": shown.token,
        "max_uses": shown.max_uses,
        "used_count": max(0, shown.used_count - waiting),
        "pending_reservations": waiting,
        "comment": shown.comment,
        "created_at": write_moment(shown.created_at_seconds),
        "expires_at": None if shown.expires_at_seconds is None else write_moment(shown.expires_at_seconds),
        "status": shown.state.value,
    }
