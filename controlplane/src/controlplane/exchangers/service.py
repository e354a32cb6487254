"""The rules of exchangers: where nodes pull mail from, in force at once on every mail node.

For: every caller alike: REST, RPC, the command line; whoever lends the session commits it.
Not for: HTTP, or who may call.
"""

from collections.abc import Sequence

import structlog
from pydantic import JsonValue
from sqlmodel import Session, col, func, select

from controlplane.admins.audit import Author, record, record_difference
from controlplane.admins.audit_models import Action
from controlplane.exchangers.access import name_seal
from controlplane.exchangers.errors import (
    ExchangerExistsError,
    TokenInClearError,
    TooManyExchangersError,
    UnknownExchangerError,
)
from controlplane.exchangers.models import Exchanger, ExchangerChange, ExchangerPublic, ExchangerRequest
from controlplane.nodes.desired import renew_revisions
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.states import FleetFacts
from nodelink.contract.federation import MAX_EXCHANGERS

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def add_exchanger(
    session: Session, facts: FleetFacts, author: Author, request: ExchangerRequest
) -> Exchanger:
    """Have nodes poll an exchanger.

    Raises:
        ExchangerExistsError: There is one of this name.
        TooManyExchangersError: There are as many as there may be.
        TokenInClearError: Its token would travel without TLS.
    """
    begin_change(session)
    if session.get(Exchanger, request.name) is not None:
        raise ExchangerExistsError(exchanger=request.name)
    if session.exec(select(func.count()).select_from(Exchanger)).one() >= MAX_EXCHANGERS:
        raise TooManyExchangersError
    row = Exchanger(
        name=request.name,
        url=request.url,
        is_enabled=request.is_enabled,
        poll_interval_seconds=request.poll_interval_seconds,
        sealed_token=_seal(facts, request.name, request.token),
        created_at_seconds=author.now_seconds,
    )
    _check(row)
    session.add(row)
    record(session, author, Action.EXCHANGER_CREATE, row.name, after=_write(row))
    _spread(session, facts)
    return row


def change_exchanger(
    session: Session, facts: FleetFacts, author: Author, name: str, change: ExchangerChange
) -> Exchanger:
    """Change one. Raises: UnknownExchangerError, TokenInClearError."""
    begin_change(session)
    row = read_exchanger(session, name)
    before = _write(row)
    for field in change.model_fields_set - {"token"}:
        setattr(row, field, getattr(change, field))
    if "token" in change.model_fields_set:
        row.sealed_token = _seal(facts, name, change.token)
    _check(row)
    session.add(row)
    after = _write(row)
    if "token" in change.model_fields_set:  # another one looks like the former
        after["token_is_new"] = True
    record_difference(session, author, Action.EXCHANGER_CHANGE, name, (before, after))
    _spread(session, facts)
    return row


def remove_exchanger(session: Session, facts: FleetFacts, author: Author, name: str) -> None:
    """Have an exchanger polled no more. Raises: UnknownExchangerError."""
    begin_change(session)
    row = read_exchanger(session, name)
    session.delete(row)
    record(session, author, Action.EXCHANGER_REMOVE, name, before=_write(row))
    _spread(session, facts)


def read_exchanger(session: Session, name: str) -> Exchanger:
    """Look one up. Raises: UnknownExchangerError."""
    row = None if "\0" in name else session.get(Exchanger, name)
    if row is None:
        raise UnknownExchangerError(exchanger=name)
    return row


def list_exchangers(session: Session) -> Sequence[Exchanger]:
    """List them by name."""
    return session.exec(select(Exchanger).order_by(col(Exchanger.name))).all()


def describe_exchanger(row: Exchanger) -> ExchangerPublic:
    """Describe one, without its token."""
    return ExchangerPublic.model_validate(row, update={"has_token": row.sealed_token is not None})


def _spread(session: Session, facts: FleetFacts) -> None:
    session.flush()
    renew_revisions(session, facts)
    log.info("exchangers changed")


def _seal(facts: FleetFacts, name: str, token: str | None) -> str | None:
    return None if token is None else facts.vault.seal(name_seal(name), token)


def _check(row: Exchanger) -> None:
    if row.sealed_token is not None and not row.url.startswith("https://"):
        raise TokenInClearError(exchanger=row.name)


def _write(row: Exchanger) -> dict[str, JsonValue]:
    return describe_exchanger(row).model_dump(mode="json", exclude={"name", "created_at_seconds"})
