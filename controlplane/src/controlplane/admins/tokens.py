"""Admin tokens: `madfleet-admin-<prefix>-<secret>`.

For: making, recognising, listing and revoking them.
Not for: what a role may do (access.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest
from secrets import token_hex, token_urlsafe

import structlog
from sqlmodel import Session, col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from controlplane.admins.access import WHOLE_FLEET, Role, Scope, ScopeKind
from controlplane.admins.audit import Author, record
from controlplane.admins.audit_models import Action
from controlplane.admins.models import (
    AdminToken,
    NewTokenPublic,
    TokenPublic,
    TokenRequest,
    TokenState,
)
from controlplane.admins.static_token import STATIC_PREFIX, StaticToken
from controlplane.errors import TokenInSettingsError, UnknownTokenError
from controlplane.vault import Vault

PREFIX_BYTES = 4
SECRET_BYTES = 32
PURPOSE = "admin token"
SECONDS_PER_HOUR = 3600
USE_NOTED_SECONDS = 600
"""How much later than the last noted use another one is noted: a request must not cost a write."""
LARGEST_ID = (1 << 31) - 1
"""Of a row. Others are those of tokens in settings, and PostgreSQL refuses to look for them."""

_TOKEN = re.compile(r"madfleet-admin-([0-9a-f]{8})-([A-Za-z0-9_-]{43})", re.ASCII)

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose token has been checked."""

    token_id: int
    prefix: str
    name: str
    role: Role
    scope: Scope
    last_used_at_seconds: int | None

    def at(self, now_seconds: int) -> Author:
        """Say who changes something, and when."""
        return Author(self.name, self.prefix, now_seconds)


@dataclass(frozen=True, slots=True)
class TokenBook:
    """What recognises tokens: those of the database, and the one in the settings, which goes before."""

    vault: Vault
    static: StaticToken | None

    def identify(self, session: Session, token: str, now_seconds: int) -> Caller | None:
        """Find the owner of a token; `None` for one that is unknown, expired, shadowed or revoked."""
        token = token.strip()
        if self.static is not None and self.static.is_right(self.vault, token):
            return _describe_static(self.static)
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        prefix, secret = match.groups()
        row = _find_row(session, prefix)
        given = self.vault.hash(PURPOSE, secret)
        # An unknown prefix costs as much time as a wrong secret.
        is_right = compare_digest(given, row.secret_hash if row else self.vault.hash(PURPOSE, ""))
        return self._describe(row, now_seconds) if is_right else None

    def find_caller(self, session: Session, token_id: int, now_seconds: int) -> Caller | None:
        """Find the owner of a token by its id; `None` for one that is not taken any more."""
        if self.static is not None and self.static.id == token_id:
            return _describe_static(self.static)
        row = session.get(AdminToken, token_id) if token_id <= LARGEST_ID else None
        return self._describe(row, now_seconds)

    def judge(self, row: AdminToken, now_seconds: int) -> TokenState:
        """Say whether a token of the database is taken."""
        if row.revoked_at_seconds is not None:
            return TokenState.REVOKED
        if row.expires_at_seconds is not None and row.expires_at_seconds <= now_seconds:
            return TokenState.EXPIRED
        if self.static is not None and self.static.name == row.name:
            return TokenState.SHADOWED
        return TokenState.ACTIVE

    def describe(self, row: AdminToken, now_seconds: int) -> TokenPublic:
        """Describe a token of the database."""
        state = self.judge(row, now_seconds)
        return TokenPublic.model_validate(row, update={"id": row.prefix, "state": state})

    def describe_static(self) -> TokenPublic | None:
        """Describe the token in the settings; `None` where there is none."""
        if self.static is None:
            return None
        return TokenPublic(
            id=STATIC_PREFIX,
            name=self.static.name,
            role=Role.OWNER,
            scope_kind=ScopeKind.FLEET,
            scope_name=None,
            state=TokenState.ACTIVE,
            created_at_seconds=None,
            expires_at_seconds=None,
            last_used_at_seconds=None,
            revoked_at_seconds=None,
        )

    def read_token(self, session: Session, prefix: str, now_seconds: int) -> TokenPublic:
        """Look a token up. Raises: UnknownTokenError."""
        if prefix == STATIC_PREFIX and (static := self.describe_static()) is not None:
            return static
        row = _find_row(session, prefix)
        if row is None:
            raise UnknownTokenError(token=prefix)
        return self.describe(row, now_seconds)

    def _describe(self, row: AdminToken | None, now_seconds: int) -> Caller | None:
        if row is None or row.id is None or self.judge(row, now_seconds) is not TokenState.ACTIVE:
            return None
        return Caller(row.id, row.prefix, row.name, Role(row.role), row.scope, row.last_used_at_seconds)


def create_token(
    session: Session, vault: Vault, author: Author, request: TokenRequest
) -> tuple[AdminToken, str]:
    """Make a token; the text that is returned with it is kept nowhere."""
    prefix, secret = token_hex(PREFIX_BYTES), token_urlsafe(SECRET_BYTES)
    hours = request.valid_for_hours
    row = AdminToken.model_validate(
        {
            "name": request.name,
            "role": request.role,
            "scope_kind": request.scope_kind,
            "scope_name": request.scope_name,
            "prefix": prefix,
            "secret_hash": vault.hash(PURPOSE, secret),
            "created_at_seconds": author.now_seconds,
            "expires_at_seconds": None if hours is None else author.now_seconds + hours * SECONDS_PER_HOUR,
            "last_used_at_seconds": None,
            "revoked_at_seconds": None,
        }
    )
    session.add(row)
    record(session, author, Action.ADMIN_TOKEN_CREATE, prefix, after=request.model_dump(mode="json"))
    log.info("admin token created", admin=request.name, role=request.role, prefix=prefix)
    return row, f"madfleet-admin-{prefix}-{secret}"


def show_new_token(public: TokenPublic, token: str) -> NewTokenPublic:
    """Describe a token together with its secret, for the one time that it is shown."""
    return NewTokenPublic.model_validate({**public.model_dump(), "token": token})


def revoke_token(session: Session, author: Author, prefix: str) -> None:
    """Revoke a token at once; one that is revoked already stays so.

    Raises:
        TokenInSettingsError: It stands in the settings.
        UnknownTokenError: There is no such token.
    """
    if prefix == STATIC_PREFIX:
        raise TokenInSettingsError
    row = _find_row(session, prefix)
    if row is None:
        raise UnknownTokenError(token=prefix)
    if row.revoked_at_seconds is None:
        _revoke(session, author, row)


def revoke_tokens(session: Session, author: Author, name: str) -> int:
    """Revoke every token of a name; return how many were live."""
    return _revoke_all(session, author, select(AdminToken).where(col(AdminToken.name) == name))


def revoke_scope(session: Session, author: Author, scope: Scope) -> int:
    """Revoke every token of a group or node that is no more; another one may get its name."""
    statement = select(AdminToken).where(
        col(AdminToken.scope_kind) == scope.kind.value, col(AdminToken.scope_name) == scope.name
    )
    return _revoke_all(session, author, statement)


def is_use_due(caller: Caller, now_seconds: int) -> bool:
    """Tell whether it is time to note that a token is in use."""
    if caller.prefix == STATIC_PREFIX:
        return False  # it has no row
    return caller.last_used_at_seconds is None or now_seconds >= (
        caller.last_used_at_seconds + USE_NOTED_SECONDS
    )


def note_use(session: Session, caller: Caller, now_seconds: int) -> None:
    """Note that a token is in use."""
    session.exec(
        update(AdminToken)
        .where(col(AdminToken.id) == caller.token_id)
        .values(last_used_at_seconds=now_seconds)
    )


def page_tokens(session: Session, after_id: int, limit: int) -> Sequence[AdminToken]:
    """List tokens of the database in the order in which they were made, those after an id."""
    return session.exec(
        select(AdminToken).where(col(AdminToken.id) > after_id).order_by(col(AdminToken.id)).limit(limit)
    ).all()


def _revoke_all(session: Session, author: Author, statement: SelectOfScalar[AdminToken]) -> int:
    live = session.exec(statement.where(col(AdminToken.revoked_at_seconds).is_(None))).all()
    for row in live:
        _revoke(session, author, row)
    return len(live)


def _revoke(session: Session, author: Author, row: AdminToken) -> None:
    row.revoked_at_seconds = author.now_seconds
    session.add(row)
    record(
        session, author, Action.ADMIN_TOKEN_REVOKE, row.prefix, before={"name": row.name, "role": row.role}
    )
    log.info("admin token revoked", admin=row.name, prefix=row.prefix)


def _find_row(session: Session, prefix: str) -> AdminToken | None:
    if "\0" in prefix:
        return None
    return session.exec(select(AdminToken).where(col(AdminToken.prefix) == prefix)).one_or_none()


def _describe_static(static: StaticToken) -> Caller:
    return Caller(static.id, STATIC_PREFIX, static.name, Role.OWNER, WHOLE_FLEET, None)
