"""Commands about the key by which the control plane signs.

Not for: rules (signing/).
"""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from controlplane.cli.opening import open_session
from controlplane.client.options import JsonOption
from controlplane.client.output import write_json, write_table
from controlplane.signing.keyring import KeyRows, read_key_rows
from controlplane.signing.models import SigningKey
from controlplane.signing.service import (
    Acknowledgement,
    Standing,
    announce_next_key,
    list_acknowledgements,
    switch_if_acknowledged,
    switch_key,
)
from nodelink.contract.keys import PublicKey

HEADER = ("NODE", "STANDING", "LAST REPORT")

NowOption = Annotated[
    bool,
    typer.Option(
        "--now", help="Let the next key sign at once, without waiting for nodes; after a key was stolen."
    ),
]


def add_key_commands(app: typer.Typer) -> None:
    """Add the commands about the signing key to the command line."""
    app.command("signing-key")(show_signing_key)
    app.command("rotate-signing-key")(rotate_signing_key)


def show_signing_key(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show the key that signs, the next one if there is any, and which nodes have the newest."""
    with open_session(context) as (_, session):
        rows = read_key_rows(session)
        acknowledgements = list_acknowledgements(session, int(time.time()))
    if as_json:
        typer.echo(_write_json(rows, acknowledgements))
        return
    typer.echo(f"Present:  {_describe_key(rows.present)}")
    typer.echo(f"Next:     {_describe_key(rows.next) if rows.next else 'none'}")
    if acknowledgements:
        typer.echo()
        typer.echo(write_table(HEADER, [_describe_standing(each) for each in acknowledgements]))


def rotate_signing_key(
    context: typer.Context, *, now: NowOption = False, as_json: JsonOption = False
) -> None:
    """Replace the key that signs: announce the next one, which signs once every connected node has it.

    Nodes that are away follow when they come back. `madfleet signing-key` shows how far it is.
    """
    now_seconds = int(time.time())
    with open_session(context) as (plane, session):
        announce_next_key(session, plane.vault, plane.facts, now_seconds)
        acknowledgements = list_acknowledgements(session, now_seconds)
        if now:
            switch_key(session, plane.facts, now_seconds)
        else:
            switch_if_acknowledged(session, plane.facts, now_seconds)
        rows = read_key_rows(session)
    if now:
        _warn_of_those_behind(acknowledgements)
    if as_json:
        typer.echo(_write_json(rows, acknowledgements))
    elif rows.next is None:
        typer.echo(f"The new key signs: {_describe_key(rows.present)}. The former one is deleted.")
    else:
        awaited = _name(acknowledgements, Standing.AWAITED)
        typer.echo(f"The next key is announced: {_describe_key(rows.next)}.")
        typer.echo(f"It signs as soon as these nodes have acknowledged it: {awaited}.")


def _warn_of_those_behind(acknowledgements: list[Acknowledgement]) -> None:
    """Say which nodes still trust the former key, and what becomes of each."""
    behind = [each for each in acknowledgements if each.standing is not Standing.ACKNOWLEDGED]
    following = [each for each in behind if not each.is_outdated and each.standing is not Standing.LOST]
    others = [each for each in behind if each not in following]
    if following:
        typer.echo(
            f"Not yet seen by {_name(following)}. They trust the former key until they connect; then they "
            "follow by themselves.",
            err=True,
        )
    if others:
        typer.echo(
            f"Cannot follow: {_name(others)}. Enrol them anew: run the playbook, or `madfleet enrol` here "
            "and `enrol` on the node.",
            err=True,
        )


def _name(acknowledgements: list[Acknowledgement], standing: Standing | None = None) -> str:
    return ", ".join(each.node for each in acknowledgements if standing in {None, each.standing})


def _describe_key(row: SigningKey) -> str:
    since = row.in_force_at_seconds or row.announced_at_seconds
    word = "signs since" if row.in_force_at_seconds else "announced"
    day = datetime.fromtimestamp(since, UTC)
    return f"{PublicKey(row.public_key).key_id} (number {row.number}, {word} {day:%Y-%m-%d %H:%M} UTC)"


def _describe_standing(each: Acknowledgement) -> tuple[str, ...]:
    age = "-" if each.report_age_seconds is None else f"{each.report_age_seconds} s"
    standing = f"{each.standing} (older version)" if each.is_outdated else each.standing.value
    return each.node, standing, age


def _write_json(rows: KeyRows, acknowledgements: list[Acknowledgement]) -> str:
    return write_json(
        {
            "present": PublicKey(rows.present.public_key).key_id,
            "present_number": rows.present.number,
            "next": PublicKey(rows.next.public_key).key_id if rows.next else None,
            "nodes": {each.node: each.standing.value for each in acknowledgements},
        }
    )
