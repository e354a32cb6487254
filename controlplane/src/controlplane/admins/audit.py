"""The audit log: who has changed what, from what, to what.

    record ──▶ kept for ever, in the transaction of the change ──▶ page, export
                        └── after 30 days, names of accounts become keyed hashes

For: services, which record each change of an admin; the same name has the same hash, so it is found by both.
Not for: what users do, such as new accounts, or what nodes say.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from sqlmodel import Session, col, or_, select, update

from controlplane.admins.audit_models import HASHED, Action, AuditEntry, AuditPublic
from controlplane.vault import Vault

NAMES_KEPT_SECONDS = 30 * 86_400
PURPOSE = "audit subject"
HASH_DIGITS = 32
BATCH = 500


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, and when. `token` is the public part of what he has shown."""

    name: str
    token: str
    now_seconds: int


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are looked for; `None` for any."""

    admin: str | None = None
    action: Action | None = None
    target: str | None = None
    subject: str | None = None
    since_seconds: int | None = None
    until_seconds: int | None = None


def record(  # noqa: PLR0913 - the columns of an entry
    session: Session,
    author: Author,
    action: Action,
    target: str,
    *,
    before: Mapping[str, JsonValue] | None = None,
    after: Mapping[str, JsonValue] | None = None,
    subject: str | None = None,
) -> None:
    """Record a change in the transaction that makes it.

    Args:
        session: Of the change.
        author: Who makes it.
        action: What is done.
        target: What it is done to; empty for the fleet.
        before: What was so, `None` where nothing was. Holds neither secrets nor names of accounts.
        after: What is so now, `None` where nothing is.
        subject: Name of the account that it is about.
    """
    entry = {
        "at_seconds": author.now_seconds,
        "admin": author.name,
        "token": author.token,
        "action": action,
        "target": target,
        "subject": subject,
        "before": None if before is None else json.dumps(dict(before)),
        "after": None if after is None else json.dumps(dict(after)),
    }
    session.add(AuditEntry.model_validate(entry))


def record_difference(
    session: Session,
    author: Author,
    action: Action,
    target: str,
    values: tuple[Mapping[str, JsonValue], Mapping[str, JsonValue]],
) -> None:
    """Record in what two states of a thing differ, the former and the present one; nothing if in nothing."""
    before, after = values
    names = [name for name in after if before.get(name) != after[name]]
    if names:
        record(
            session,
            author,
            action,
            target,
            before={name: before.get(name) for name in names},
            after={name: after[name] for name in names},
        )


def page_audit(
    session: Session, vault: Vault, wanted: AuditFilter, before_id: int | None, limit: int
) -> Sequence[AuditEntry]:
    """List entries, the newest first, those older than an id."""
    statement = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)
    if before_id is not None:
        statement = statement.where(col(AuditEntry.id) < before_id)
    if wanted.admin is not None:
        statement = statement.where(col(AuditEntry.admin) == wanted.admin)
    if wanted.action is not None:
        statement = statement.where(col(AuditEntry.action) == wanted.action.value)
    if wanted.target is not None:
        statement = statement.where(col(AuditEntry.target) == wanted.target)
    if wanted.subject is not None:
        names = (wanted.subject, hash_subject(vault, wanted.subject))
        statement = statement.where(or_(*(col(AuditEntry.subject) == name for name in names)))
    if wanted.since_seconds is not None:
        statement = statement.where(col(AuditEntry.at_seconds) >= wanted.since_seconds)
    if wanted.until_seconds is not None:
        statement = statement.where(col(AuditEntry.at_seconds) < wanted.until_seconds)
    return session.exec(statement).all()


def describe_entry(entry: AuditEntry) -> AuditPublic:
    """Describe an entry."""
    before, after = (None if text is None else json.loads(text) for text in (entry.before, entry.after))
    return AuditPublic.model_validate(entry, update={"before": before, "after": after})


def hash_subject(vault: Vault, subject: str) -> str:
    """Compute what a name becomes after 30 days."""
    return HASHED + vault.hash(PURPOSE, subject.lower())[:HASH_DIGITS]


def hash_old_subjects(session: Session, vault: Vault, now_seconds: int) -> int:
    """Put keyed hashes in place of names that are 30 days old; return how many, at most a batch."""
    statement = (
        select(AuditEntry.id, AuditEntry.subject)
        .where(
            col(AuditEntry.at_seconds) <= now_seconds - NAMES_KEPT_SECONDS,
            col(AuditEntry.subject).is_not(None),
            col(AuditEntry.subject).not_like(f"{HASHED}%"),
        )
        .limit(BATCH)
    )
    old = session.exec(statement).all()
    for id_, subject in old:
        hashed = hash_subject(vault, subject or "")
        session.exec(update(AuditEntry).where(col(AuditEntry.id) == id_).values(subject=hashed))
    return len(old)
