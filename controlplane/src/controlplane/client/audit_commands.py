"""Commands about the audit log: read it, or take all of it away.

Not for: writing it, which the control plane does.
"""

import json
import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.options import JsonOption, check_duration, has_command, parse_seconds
from controlplane.client.output import Column, Row, moment_of, print_list

DEFAULT_ENTRIES = 50


class ExportFormat(StrEnum):
    """How the log is written into a file."""

    JSON_LINES = "jsonl"
    CSV = "csv"


AdminOption = Annotated[str | None, typer.Option("--admin", help="Only what this admin did.")]
ActionOption = Annotated[str | None, typer.Option("--action", help="Only this, such as node.retire.")]
TargetOption = Annotated[str | None, typer.Option("--target", help="Only about this node, group or token.")]
SubjectOption = Annotated[str | None, typer.Option("--subject", help="Only about this account.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", callback=check_duration, help="Only the last such as 12h or 30d.")
]

audit = typer.Typer(help="Read who has changed what.", invoke_without_command=True)


def add_audit_commands(app: typer.Typer) -> None:
    """Add the commands about the audit log to the command line."""
    app.add_typer(audit, name="audit")


@audit.callback()
def list_audit(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    *,
    admin: AdminOption = None,
    action: ActionOption = None,
    target: TargetOption = None,
    subject: SubjectOption = None,
    since: SinceOption = None,
    entries: Annotated[
        int, typer.Option("--entries", min=1, help="So many at most, the newest.")
    ] = DEFAULT_ENTRIES,
    as_json: JsonOption = False,
) -> None:
    """List what admins have changed, the newest first; or export it."""
    if has_command(context):
        return
    found: list[dict[str, object]] = []
    with open_api(context) as api:
        for page in api.read_pages("/audit", _write_query(admin, action, target, subject, since)):
            found += page["items"]
            if len(found) >= entries:
                break
    print_list(found[:entries], COLUMNS, as_json=as_json, empty="Nothing like that has been changed.")


@audit.command("export")
def export_audit(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to write; `-` for standard output.", allow_dash=True)],
    *,
    admin: AdminOption = None,
    action: ActionOption = None,
    target: TargetOption = None,
    subject: SubjectOption = None,
    since: SinceOption = None,
    file_format: Annotated[
        ExportFormat, typer.Option("--format", help="JSON lines or CSV.")
    ] = ExportFormat.JSON_LINES,
) -> None:
    """Write all of the log into a file that only you can read, the newest first."""
    query = _write_query(admin, action, target, subject, since) | {"format": file_format.value}
    with open_api(context) as api:
        pieces = api.read_text("/audit/export", query)
        if str(file) == "-":
            for piece in pieces:
                typer.echo(piece, nl=False)
            return
        first = next(pieces, "")  # what is refused makes no file
        size = 0
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8", newline="") as output:  # noqa: PTH123 - of a descriptor
                size += output.write(first)
                for piece in pieces:
                    size += output.write(piece)
        except OSError as error:
            raise MisuseError(f"{file} cannot be written: {error.strerror}.") from error
    typer.echo(f"The audit log is in {file} ({size} characters).", err=True)


def _write_query(
    admin: str | None, action: str | None, target: str | None, subject: str | None, since: str | None
) -> dict[str, object]:
    seconds = None if since is None else parse_seconds(since)
    return {
        "admin": admin,
        "action": action,
        "target": target,
        "subject": subject,
        "since_seconds": None if seconds is None else max(0, int(time.time()) - seconds),
    }


def _describe_change(item: Row) -> str:
    before, after = item.get("before"), item.get("after")
    if not isinstance(after, dict):
        return _write(before)
    if not isinstance(before, dict):
        return _write(after)
    changed = [name for name in after if before.get(name) != after[name]]
    return ", ".join(f"{name} {_write(before.get(name))} → {_write(after[name])}" for name in changed)


def _write(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_write(each)}" for name, each in value.items())
    return value if isinstance(value, str) and value else json.dumps(value)


COLUMNS: list[Column] = [
    ("WHEN (UTC)", moment_of("at_seconds")),
    ("WHO", "admin"),
    ("TOKEN", "token"),
    ("WHAT", "action"),
    ("OF", "target"),
    ("ACCOUNT", "subject"),
    ("CHANGE", _describe_change),
]
