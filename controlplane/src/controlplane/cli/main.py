"""The command line `madfleet`.

Exit codes: 0 done; 1 refused, with one sentence that says what to do; 2 wrong usage or wrong configuration.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import OperationalError

from controlplane.cli.admin_commands import add_admin_commands
from controlplane.cli.backup_commands import add_backup_commands
from controlplane.cli.key_commands import add_key_commands
from controlplane.cli.migrate_command import add_migrate_command
from controlplane.cli.node_commands import add_node_commands
from controlplane.cli.opening import quieten_log
from controlplane.cli.policy_commands import add_policy_commands
from controlplane.errors import (
    BackupError,
    BadInstallationError,
    ControlPlaneError,
    DatabaseBusyError,
    MigrationRefusedError,
)
from nodelink.daemon.settings import refuse_configuration
from nodelink.daemon.tls import CertificateError

EXIT_REFUSED = 1

app = typer.Typer(
    name="madfleet",
    help="Steer a fleet of chat servers, on the host of its control plane.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def set_up(
    settings: Annotated[
        Path | None,
        typer.Option(envvar="MADFLEET_SETTINGS", help="Settings file of the control plane."),
    ] = None,
) -> None:
    """Steer a fleet of chat servers, on the host of its control plane.

    Settings are those of the daemon `controlplane`: CONTROLPLANE_... in the environment, or a file.
    """
    del settings  # each command reads it from the context when it opens the control plane
    quieten_log()


add_node_commands(app)
add_policy_commands(app)
add_admin_commands(app)
add_key_commands(app)
add_backup_commands(app)
add_migrate_command(app)


def main() -> None:
    """Run one command."""
    try:
        app()
    except ControlPlaneError as refusal:
        _refuse(refusal)
    except OperationalError:
        _refuse(DatabaseBusyError())
    except (BackupError, MigrationRefusedError) as refusal:
        sys.stderr.write(f"{refusal}\n")
        raise SystemExit(EXIT_REFUSED) from refusal
    except (BadInstallationError, CertificateError) as error:
        refuse_configuration(str(error))


def _refuse(refusal: ControlPlaneError) -> None:
    sys.stderr.write(refusal.public_text + "\n")
    raise SystemExit(EXIT_REFUSED)


if __name__ == "__main__":
    main()
