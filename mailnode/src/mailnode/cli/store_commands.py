"""The commands on the store itself: check, backup, restore. They need no running daemon."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from mailnode.settings import MailNodeSettings
from mailnode.store.backup import MAIL_DIRECTORY, back_up, restore
from mailnode.store.checking import Report, check_store
from mailnode.store.mail_store import MailStoreError

EXIT_FAULTS = 1
EXIT_REFUSED = 2


def add_store_commands(app: typer.Typer, settings: Callable[[], MailNodeSettings]) -> None:
    """Add `check`, `backup` and `restore` to the command line."""

    @app.command()
    def check(
        *,
        repair: Annotated[
            bool, typer.Option("--repair", help="Set right what is wrong; the service must be stopped.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        """Look through the whole mail store; also while the service runs. Exit code 1: something is wrong."""
        try:
            report = check_store(settings().state_directory / MAIL_DIRECTORY, repair=repair, say=_say)
        except MailStoreError as error:
            _refuse(error)
        typer.echo(json.dumps(asdict(report)) if as_json else _describe(report))
        raise typer.Exit(0 if report.is_whole else EXIT_FAULTS)

    @app.command()
    def backup(
        directory: Annotated[Path, typer.Argument(help="A directory that does not exist yet.")],
    ) -> None:
        """Copy keys, accounts and mail while the service runs. It is not encrypted."""
        read = settings()
        try:
            manifest = back_up(read.state_directory, directory, read.mail_domain, _say)
        except MailStoreError as error:
            _refuse(error)
        typer.echo(f"{manifest.accounts} accounts and {manifest.messages} messages are in {directory}.")

    @app.command("restore")
    def restore_backup(
        directory: Annotated[Path, typer.Argument(help="What `mailnode backup` has made.")],
        *,
        replace: Annotated[
            bool, typer.Option("--replace", help="Put it in place of the store there is, which is kept.")
        ] = False,
    ) -> None:
        """Put a backup in place; the service must be stopped. Apps find their mail as it was."""
        try:
            manifest = restore(directory, settings().state_directory, is_replacing=replace, say=_say)
        except MailStoreError as error:
            _refuse(error)
        typer.echo(
            f"{manifest.accounts} accounts, {manifest.messages} messages of {manifest.mail_domain} are back. "
            "Start the service."
        )


def _describe(report: Report) -> str:
    lines = []
    for fault in report.faults:
        state = "mended" if fault.is_mended else "WRONG"
        lines.append(f"{state}: {fault.count} {fault.what}{' (lost)' if fault.loses else ''}.")
    if not report.is_whole:
        lines.append("Stop the service and run `mailnode check --repair`; a backup may have what is lost.")
    amount = f"{report.accounts} accounts, {report.messages} messages, {report.files} files"
    lines.append(f"{'The store is whole' if report.is_whole else 'The store is not whole'}: {amount}.")
    return "\n".join(lines)


def _say(step: str) -> None:
    """Tell a person at a terminal what takes so long."""
    if sys.stderr.isatty():
        typer.echo(step, err=True)


def _refuse(error: MailStoreError) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(EXIT_REFUSED)
