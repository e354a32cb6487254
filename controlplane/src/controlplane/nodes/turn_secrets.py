"""The rules of the TURN secrets: at most two are live, and no credential that was handed out stops working.

    present ──rotate──▶ next, present ──every connected TURN node has both──▶ present, former ──▶ present
                                                                                       │
                                      no credential that was made with it is valid ────┘

For: the desired states (desired.py), the Admin API, and the daemon, which looks from time to time (desk.py).
Not for: making credentials; each mail node does that for its own accounts.

Every step is a row in the database, so it does not matter which process takes it. A TURN node that is away
is not waited for; it takes what is live when it comes back.
"""

from dataclasses import dataclass
from secrets import token_urlsafe

import structlog
from sqlmodel import Session, col, select

from controlplane.admins.audit import Author, record
from controlplane.admins.audit_models import Action
from controlplane.errors import BadInstallationError, TurnSecretsInUseError
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.models import Node, NodeReport, Secret
from controlplane.nodes.reports import read_report
from controlplane.nodes.states import CREDENTIAL_MARGIN_SECONDS, LiveSecrets
from controlplane.nodes.turn_models import (
    TurnPublic,
    TurnSecret,
    TurnSecretPublic,
    TurnSecretState,
)
from controlplane.nodes.turn_pools import describe_pools, read_choices
from controlplane.policy.models import FleetPolicy
from controlplane.vault import Vault
from nodelink.contract.states import NodeKind

AWAITED_SECONDS = 300
"""A TURN node that has reported within this time is waited for: no restart leaves it behind."""

FORMER_NAME = "turn-shared-secret"
"""Where earlier versions kept the only secret."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TurnSecrets:
    """The live secrets. `next` and `former` are never there together."""

    present: TurnSecret
    next: TurnSecret | None = None
    former: TurnSecret | None = None

    @property
    def newest_first(self) -> list[tuple[TurnSecretState, TurnSecret]]:
        """List what TURN nodes take."""
        ordered = (
            (TurnSecretState.NEXT, self.next),
            (TurnSecretState.PRESENT, self.present),
            (TurnSecretState.FORMER, self.former),
        )
        return [(state, row) for state, row in ordered if row is not None]


def prepare_first_secret(session: Session, vault: Vault, now_seconds: int) -> None:
    """Make the first secret if there is none, or take over the one that earlier versions made.

    Raises:
        BadInstallationError: That was encrypted with another master key.
    """
    if session.exec(select(TurnSecret.number).limit(1)).first() is not None:
        return
    kept = session.get(Secret, FORMER_NAME)
    secret = token_urlsafe(32) if kept is None else vault.open(FORMER_NAME, kept.sealed)
    session.add(_make_row(vault, 1, secret, announced_at=now_seconds, in_force_at=now_seconds))
    if kept is not None:
        session.delete(kept)


def read_secrets(session: Session) -> TurnSecrets:
    """Read the rows. Raises: BadInstallationError."""
    rows = session.exec(select(TurnSecret).order_by(col(TurnSecret.number).desc())).all()
    following = next((row for row in rows if row.in_force_at_seconds is None), None)
    in_force = [row for row in rows if row.in_force_at_seconds is not None]
    if not in_force:
        raise BadInstallationError("The database has no TURN secret. Restore it from the backup.")
    return TurnSecrets(in_force[0], following, next(iter(in_force[1:]), None))


def open_secrets(session: Session, vault: Vault) -> LiveSecrets:
    """Read the secrets for desired states.

    Raises:
        BadInstallationError: They were encrypted with another master key, or are gone.
    """
    secrets = read_secrets(session)
    live = tuple(vault.open(_name(row.number), row.sealed) for _, row in secrets.newest_first)
    return LiveSecrets(vault.open(_name(secrets.present.number), secrets.present.sealed), live)


def announce_next_secret(session: Session, vault: Vault, author: Author, secret: str | None = None) -> None:
    """Make the next secret, which TURN nodes learn before any mail node uses it.

    The caller renews the revisions; `secret` is one that an admin has chosen.

    Raises:
        TurnSecretsInUseError: Two secrets are live already.
    """
    begin_change(session)
    secrets = read_secrets(session)
    if secrets.next is not None or secrets.former is not None:
        raise TurnSecretsInUseError(number=secrets.present.number)
    number = secrets.present.number + 1
    secret = token_urlsafe(32) if secret is None else secret
    session.add(_make_row(vault, number, secret, announced_at=author.now_seconds, in_force_at=None))
    session.flush()
    record(session, author, Action.TURN_SECRET_ROTATE, "", after={"number": number})
    log.info("next TURN secret announced", number=number)


def is_step_due(session: Session, now_seconds: int) -> bool:
    """Tell whether a rotation can be brought a step further; one cheap query where there is none."""
    secrets = read_secrets(session)
    if secrets.next is not None:
        return not list_awaited(session, now_seconds)
    former = secrets.former
    return former is not None and (former.ends_at_seconds or 0) <= now_seconds


def take_step(session: Session, now_seconds: int) -> bool:
    """Bring a rotation a step further, if one is due; tell whether it was.

    The caller renews the revisions.
    """
    if not is_step_due(session, now_seconds):
        return False
    begin_change(session)
    if not is_step_due(session, now_seconds):  # what was read before others were held off may be stale
        return False
    secrets = read_secrets(session)
    if secrets.next is not None:
        secrets.next.in_force_at_seconds = now_seconds
        lifetime_seconds = session.exec(select(FleetPolicy)).one().turn_lifetime_seconds
        secrets.present.ends_at_seconds = now_seconds + lifetime_seconds + CREDENTIAL_MARGIN_SECONDS
        session.add(secrets.next)
        session.add(secrets.present)
        log.info("TURN secret switched", number=secrets.next.number)
    elif secrets.former is not None:
        session.delete(secrets.former)
        log.info("former TURN secret forgotten", number=secrets.former.number)
    session.flush()
    return True


def list_awaited(session: Session, now_seconds: int) -> list[str]:
    """List the TURN nodes that are there and have not applied their newest state, by name."""
    if read_secrets(session).next is None:
        return []
    statement = select(Node, NodeReport).where(
        col(Node.name) == col(NodeReport.node_name),
        col(Node.kind) == NodeKind.TURN.value,
        col(NodeReport.received_at_seconds) >= now_seconds - AWAITED_SECONDS,
    )
    return sorted(
        node.name
        for node, row in session.exec(statement)
        if (report := read_report(row)) is None or report.applied_revision < node.revision
    )


def describe_turn(session: Session, now_seconds: int) -> TurnPublic:
    """Describe what is handed out."""
    pools = describe_pools(session, now_seconds)
    return TurnPublic(
        host=pools[0].host,
        port=pools[0].port,
        pools=pools,
        udp_ports=sorted({port for choice in read_choices(session).values() for port in choice.offers}),
        secrets=[
            TurnSecretPublic.model_validate(row, update={"state": state})
            for state, row in read_secrets(session).newest_first
        ],
        awaited_nodes=list_awaited(session, now_seconds),
    )


def _name(number: int) -> str:
    return f"turn-secret-{number}"


def _make_row(
    vault: Vault, number: int, secret: str, *, announced_at: int, in_force_at: int | None
) -> TurnSecret:
    return TurnSecret(
        number=number,
        sealed=vault.seal(_name(number), secret),
        announced_at_seconds=announced_at,
        in_force_at_seconds=in_force_at,
        ends_at_seconds=None,
    )
