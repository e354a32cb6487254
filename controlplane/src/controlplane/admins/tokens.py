"""Admin tokens: `madfleet-admin-<prefix>-<secret>`.

For: making, recognising and revoking them.
Not for: what a role may do (callers.py).
"""

import re
from dataclasses import dataclass
from hmac import compare_digest
from secrets import token_hex, token_urlsafe

import structlog
from sqlmodel import Session, col, select, update

from controlplane.admins.models import AdminToken, Role
from controlplane.vault import Vault

PREFIX_BYTES = 4
SECRET_BYTES = 32
PURPOSE = "admin token"

_TOKEN = re.compile(r"madfleet-admin-([0-9a-f]{8})-([A-Za-z0-9_-]{43})", re.ASCII)

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose token has been checked."""

    token_id: int
    name: str
    role: Role


def create_token(session: Session, vault: Vault, name: str, role: Role, now_seconds: int) -> str:
    """Make a token; what is returned is kept nowhere."""
    prefix, secret = token_hex(PREFIX_BYTES), token_urlsafe(SECRET_BYTES)
    row = AdminToken.model_validate(
        {
            "name": name,
            "role": role,
            "prefix": prefix,
            "secret_hash": vault.hash(PURPOSE, secret),
            "created_at_seconds": now_seconds,
            "revoked_at_seconds": None,
        }
    )
    session.add(row)
    log.info("admin token created", admin=name, role=role, prefix=prefix)
    return f"madfleet-admin-{prefix}-{secret}"


def revoke_tokens(session: Session, name: str, now_seconds: int) -> int:
    """Revoke every token of a name; return how many were live."""
    revoked = session.exec(
        update(AdminToken)
        .where(col(AdminToken.name) == name, col(AdminToken.revoked_at_seconds).is_(None))
        .values(revoked_at_seconds=now_seconds)
    )
    return int(revoked.rowcount)


def identify(session: Session, vault: Vault, token: str) -> Caller | None:
    """Find the owner of a token; `None` for one that is unknown or revoked."""
    match = _TOKEN.fullmatch(token.strip())
    if match is None:
        return None
    prefix, secret = match.groups()
    row = session.exec(select(AdminToken).where(col(AdminToken.prefix) == prefix)).one_or_none()
    given = vault.hash(PURPOSE, secret)
    # An unknown prefix costs as much time as a wrong secret.
    is_right = compare_digest(given, row.secret_hash if row else vault.hash(PURPOSE, ""))
    return _describe(row) if is_right else None


def find_caller(session: Session, token_id: int) -> Caller | None:
    """Find the owner of a token by its id; `None` for one that is unknown or revoked."""
    return _describe(session.get(AdminToken, token_id))


def _describe(row: AdminToken | None) -> Caller | None:
    if row is None or row.id is None or row.revoked_at_seconds is not None:
        return None
    return Caller(row.id, row.name, Role(row.role))
