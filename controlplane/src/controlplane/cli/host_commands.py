"""The commands that touch the database, and how their refusals end the process.

Not for: commands of the client, nor machines without the server.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from sqlalchemy.exc import OperationalError

from controlplane.cli.admin_commands import add_admin_commands
from controlplane.cli.backup_commands import add_backup_commands
from controlplane.cli.enrol_command import add_enrol_command
from controlplane.cli.key_commands import add_key_commands
from controlplane.cli.migrate_command import add_migrate_command
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


def add_host_commands(app: typer.Typer) -> None:
    """Add the commands of the control plane's host to the command line."""
    add_enrol_command(app)
    add_admin_commands(app)
    add_key_commands(app)
    add_backup_commands(app)
    add_migrate_command(app)


@contextmanager
def refuse_on_host() -> Iterator[None]:
    """End the process with one sentence where the control plane of this host refuses."""
    try:
        yield
    except ControlPlaneError as refusal:
        _refuse(refusal.public_text, refusal)
    except OperationalError as error:
        _refuse(DatabaseBusyError.public_text, error)
    except (BackupError, MigrationRefusedError) as refusal:
        _refuse(str(refusal), refusal)
    except (BadInstallationError, CertificateError) as error:
        refuse_configuration(str(error))


def _refuse(sentence: str, cause: Exception) -> None:
    sys.stderr.write(f"{sentence}\n")
    raise SystemExit(EXIT_REFUSED) from cause
