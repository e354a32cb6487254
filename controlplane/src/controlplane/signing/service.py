"""The rules of rotation: announce the next key, see who has it, let it sign.

    present ──announce──▶ present, next ──▶ every connected node has acknowledged ──▶ next is present
                                       └──▶ or an operator does not wait for them ┘

For: the commands (cli/key_commands.py), and the daemon, which looks from time to time (nodes/desk.py).
Not for: how a node follows (nodelink.contract.key_changes), nor for sending anything.

Every step is a row in the database, so it does not matter which process takes it, or whether one dies
between two of them. A node that is away is not waited for: it follows the chain of key changes when it
comes back.
"""

from dataclasses import dataclass
from enum import StrEnum

import structlog
from sqlmodel import Session, col, select

from controlplane.nodes.desired import renew_revisions
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.models import Node, NodeReport
from controlplane.nodes.reports import read_report
from controlplane.nodes.states import FleetFacts
from controlplane.signing.keyring import KeyRows, is_any_known, open_key, read_key_rows, seal_key
from controlplane.signing.models import SigningKey
from controlplane.vault import Vault
from nodelink.contract.key_changes import sign_key_change
from nodelink.contract.keys import PrivateKey, PublicKey

AWAITED_SECONDS = 300
"""A node that has reported within this time is waited for: no restart on either side leaves it behind."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Standing(StrEnum):
    """How a node stands to our newest key."""

    ACKNOWLEDGED = "acknowledged"
    AWAITED = "awaited"
    AWAY = "away"
    LOST = "lost"
    """It trusts keys that are none of ours: only a new enrolment helps."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a node has said of our newest key. `report_age_seconds` is `None` for one that has never reported.

    `is_outdated` is a node whose version says nothing of keys: it takes the next one from a desired state,
    but follows no chain.
    """

    node: str
    standing: Standing
    report_age_seconds: int | None
    is_outdated: bool


def announce_next_key(session: Session, vault: Vault, facts: FleetFacts, now_seconds: int) -> KeyRows:
    """Make the next key and tell every node of it; while one is announced already, nothing changes."""
    begin_change(session)
    rows = read_key_rows(session)
    if rows.next is not None:
        return rows
    former, key = open_key(vault, rows.present), PrivateKey.generate()
    number = rows.present.number + 1
    following = SigningKey.model_validate(
        {
            "number": number,
            "public_key": key.public.x,
            "sealed": seal_key(vault, number, key),
            "change_document": sign_key_change(former, key.public, now_seconds),
            "announced_at_seconds": now_seconds,
            "in_force_at_seconds": None,
        }
    )
    session.add(following)
    renew_revisions(session, facts)
    log.info("next signing key announced", key_id=key.public.key_id)
    return KeyRows(rows.present, following)


def switch_key(session: Session, facts: FleetFacts, now_seconds: int) -> bool:
    """Let the next key sign, and delete the private half of the former; tell whether there was a next one."""
    begin_change(session)
    rows = read_key_rows(session)
    if rows.next is None:
        return False
    rows.next.in_force_at_seconds = now_seconds
    rows.present.sealed = None
    session.add(rows.next)
    session.add(rows.present)
    renew_revisions(session, facts)
    log.info("signing key switched", key_id=PublicKey(rows.next.public_key).key_id)
    return True


def switch_if_acknowledged(session: Session, facts: FleetFacts, now_seconds: int) -> bool:
    """Let the next key sign if nobody is waited for; tell whether it does so since now."""
    if read_key_rows(session).next is None or _is_anybody_awaited(session, now_seconds):
        return False
    begin_change(session)
    # What was read before others were held off may be stale.
    return not _is_anybody_awaited(session, now_seconds) and switch_key(session, facts, now_seconds)


def catch_up(session: Session, facts: FleetFacts, trusted: tuple[str, ...], now_seconds: int) -> bool:
    """Let the next key sign if a node has seen it do so; tell whether it does so since now.

    That happens after a backup was restored which is older than the switch. Without it, nodes would refuse
    all that the former key signs.
    """
    rows = read_key_rows(session)
    if rows.next is None or rows.next.public_key not in trusted or rows.present.public_key in trusted:
        return False
    return switch_key(session, facts, now_seconds)


def list_acknowledgements(session: Session, now_seconds: int) -> list[Acknowledgement]:
    """List how every node stands to our newest key, by name."""
    newest = read_key_rows(session).trusted[-1]
    reports = {row.node_name: row for row in session.exec(select(NodeReport))}
    return [
        _judge(session, node.name, reports.get(node.name), newest, now_seconds)
        for node in session.exec(select(Node).order_by(col(Node.name)))
    ]


def _is_anybody_awaited(session: Session, now_seconds: int) -> bool:
    return any(
        acknowledgement.standing is Standing.AWAITED
        for acknowledgement in list_acknowledgements(session, now_seconds)
    )


def _judge(
    session: Session, node: str, row: NodeReport | None, newest: str, now_seconds: int
) -> Acknowledgement:
    report = read_report(row)
    age_seconds = None if row is None else max(0, now_seconds - row.received_at_seconds)
    trusted = report.trusted_keys if report else ()
    if newest in trusted:
        standing = Standing.ACKNOWLEDGED
    elif trusted and not is_any_known(session, trusted):
        standing = Standing.LOST
    elif age_seconds is not None and age_seconds <= AWAITED_SECONDS:
        standing = Standing.AWAITED
    else:
        standing = Standing.AWAY
    return Acknowledgement(node, standing, age_seconds, report is not None and not trusted)
