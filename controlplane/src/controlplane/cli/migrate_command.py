"""The command that moves a control plane between engines.

Not for: how (migrate.py of the package).
"""

from typing import Annotated

import typer

from controlplane.cli.opening import read_settings
from controlplane.client.options import JsonOption
from controlplane.client.output import print_json
from controlplane.migrate import DatabaseEngine, migrate


def add_migrate_command(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("migrate")(move_database)


def move_database(
    context: typer.Context,
    target: Annotated[DatabaseEngine, typer.Argument(help="The engine that is to hold everything.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Copy the database from one engine to the other: the file in the state directory, and PostgreSQL.

    CONTROLPLANE_DATABASE_URL names the PostgreSQL database in both directions. No replica may run. What was
    copied from stays as it is; the setting decides which of them is used from then on.
    """
    moved = migrate(read_settings(context), target)
    if as_json:
        print_json({"engine": target, "rows": moved.rows})
        return
    for name, count in moved.rows.items():
        typer.echo(f"{name}: {count}")
    setting = (
        "Leave CONTROLPLANE_DATABASE_URL set"
        if target is DatabaseEngine.POSTGRESQL
        else ("Remove CONTROLPLANE_DATABASE_URL from the settings")
    )
    typer.echo(f"Moved {sum(moved.rows.values())} rows to {target}. {setting}, then start the control plane.")
