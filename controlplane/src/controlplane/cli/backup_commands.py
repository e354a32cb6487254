"""Commands about the backup of the control plane.

Not for: rules (backup/).
"""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from controlplane.backup.contents import Contents
from controlplane.backup.placing import TLS
from controlplane.backup.restoring import Restored, restore_backup
from controlplane.backup.taking import STANDARD_OUTPUT, delete_older, take_backup
from controlplane.cli.opening import read_settings
from controlplane.plane import DATABASE, open_plane
from controlplane.settings import ControlPlaneSettings
from nodelink.daemon.tls import CertificateError, read_spki_pin

MAX_KEPT = 10_000


def add_backup_commands(app: typer.Typer) -> None:
    """Add the commands about backups to the command line."""
    app.command("backup")(write_backup)
    app.command("restore")(restore)


def write_backup(
    context: typer.Context,
    target: Annotated[
        Path,
        typer.Argument(
            help="A file; or a directory, where it gets a dated name; or `-` for standard output.",
            allow_dash=True,
        ),
    ],
    *,
    kept: Annotated[
        int | None,
        typer.Option(
            "--keep", min=1, max=MAX_KEPT, help="In a directory: delete all backups but the newest so many."
        ),
    ] = None,
) -> None:
    """Write a backup of the control plane: database, keys and settings. It may run meanwhile.

    Nothing in it is encrypted, and whoever has it has the fleet. To encrypt it: madfleet backup - | age -r
    ... > FILE
    """
    if kept is not None and not target.is_dir():
        raise typer.BadParameter("--keep needs a directory", param_hint="--keep")
    with open_plane(read_settings(context)) as plane:
        taken = take_backup(plane, target, int(time.time()))
    where = "standard output" if target == STANDARD_OUTPUT else taken.path
    contents = _describe_contents(taken.contents)
    typer.echo(
        f"Backup written to {where} ({contents}, {taken.size_bytes} bytes).", err=target == STANDARD_OUTPUT
    )
    for path in [] if kept is None else delete_older(target, kept):
        typer.echo(f"Deleted {path}.")


def restore(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(help="What `madfleet backup` wrote; `-` reads standard input.", allow_dash=True)
    ],
    *,
    replacing: Annotated[
        bool, typer.Option("--force", help="Replace the control plane that this host has already.")
    ] = False,
) -> None:
    """Put a backup in place. The control plane must not run; start it afterwards.

    An encrypted backup is decrypted first: age -d FILE | madfleet restore -
    """
    settings = read_settings(context)
    restored = restore_backup(settings.state_directory, source, int(time.time()), replacing=replacing)
    moment = datetime.fromtimestamp(restored.manifest.created_at_seconds, UTC)
    typer.echo(
        f"Restored the fleet {restored.manifest.fleet_name} as of {moment:%Y-%m-%d %H:%M} UTC "
        f"({_describe_contents(restored.contents)})."
    )
    if restored.manifest.tls_pin is not None and restored.manifest.tls_pin == _read_pin(settings):
        shutil.rmtree(settings.state_directory / TLS, ignore_errors=True)  # the host has this key already
    for sentence in find_differences(settings, restored):
        typer.echo(sentence, err=True)


def find_differences(settings: ControlPlaneSettings, restored: Restored) -> list[str]:
    """Find what on this host is not as nodes know it; a sentence for each, with the remedy."""
    sentences = []
    if settings.database_url is not None:
        sentences.append(
            f"This host is set to PostgreSQL, which holds what it held: the backup lies in "
            f"{settings.state_directory / DATABASE}. Make that database empty, or name an empty one in "
            "CONTROLPLANE_DATABASE_URL, and run: madfleet migrate postgresql."
        )
    if restored.manifest.public_url != settings.public_url:
        sentences.append(
            f"Nodes look for the control plane at {restored.manifest.public_url}, and this host is set to "
            f"{settings.public_url}. Set CONTROLPLANE_PUBLIC_URL to the former, or enrol every node anew."
        )
    if restored.manifest.tls_pin is not None and restored.manifest.tls_pin != _read_pin(settings):
        sentences.append(
            f"Nodes trust the TLS key in {settings.state_directory / TLS}. Put it in place of "
            f"{settings.tls_key}, with its certificate, or enrol every node anew."
        )
    return sentences


def _describe_contents(contents: Contents) -> str:
    return f"nodes: {contents.nodes}, signing key: number {contents.key_number}"


def _read_pin(settings: ControlPlaneSettings) -> str | None:
    try:
        return read_spki_pin(settings.tls_certificate)
    except CertificateError:
        return None
