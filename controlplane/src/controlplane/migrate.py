"""Move a control plane from one engine to the other, with every row.

    source, upgraded ──▶ rows, table by table ──▶ target, upgraded and empty before ──▶ counted ──▶ committed

For: the command `madfleet migrate`, while no replica runs.
Not for: backups (backup/), which go from one host to another.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.exc import DatabaseError

from controlplane.copying import SEEDED, copy_rows, count_rows, list_tables
from controlplane.database import APPLICATION_NAME, open_postgresql, open_sqlite, upgrade_database
from controlplane.errors import MigrationRefusedError
from controlplane.locks import IN_USE, hold_lock
from controlplane.plane import DATABASE
from controlplane.settings import ControlPlaneSettings
from nodelink.channel.files import make_private_directory

COMMAND_NAME = "madfleet migrate"


class DatabaseEngine(StrEnum):
    """What a control plane keeps its rows in."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved: the rows of each table that has any."""

    rows: dict[str, int]


def migrate(settings: ControlPlaneSettings, target: DatabaseEngine) -> Moved:
    """Copy everything from the other engine to `target`. The source stays as it is.

    SQLite is the file in the state directory, PostgreSQL what CONTROLPLANE_DATABASE_URL names.

    Raises:
        MigrationRefusedError: A control plane runs, there is nothing to move, the target holds something, or
            a database fails.
        BadInstallationError: A database cannot be opened.
    """
    path = settings.state_directory / DATABASE
    if settings.database_url is None:
        raise MigrationRefusedError("CONTROLPLANE_DATABASE_URL is not set. It names the PostgreSQL database.")
    if target is DatabaseEngine.POSTGRESQL and not path.exists():
        raise MigrationRefusedError(f"There is no {path}, so there is nothing to move.")
    make_private_directory(settings.state_directory)
    with ExitStack() as stack:
        stack.enter_context(_hold_alone(settings))
        sqlite = open_sqlite(path)
        stack.callback(sqlite.dispose)
        postgresql = open_postgresql(settings.database_url.get_secret_value(), application_name=COMMAND_NAME)
        stack.callback(postgresql.dispose)
        source, sink = (sqlite, postgresql) if target is DatabaseEngine.POSTGRESQL else (postgresql, sqlite)
        upgrade_database(source)
        upgrade_database(sink)
        try:
            return _move(source, sink, postgresql)
        except DatabaseError as error:
            problem = " ".join(str(error.orig).split())
            raise MigrationRefusedError(
                f"Nothing was moved, because a database failed: {problem}."
            ) from error


def _move(source: Engine, sink: Engine, postgresql: Engine) -> Moved:
    with postgresql.connect() as connection:
        _refuse_replicas(connection)
    with sink.connect() as connection:
        _refuse_filled(connection, list_tables(sink))
    return Moved(copy_rows(source, sink))


def _refuse_filled(connection: Connection, tables: Sequence[Table]) -> None:
    """Refuse a target that a control plane has used: it has at least a signing key."""
    filled = [table.name for table in tables if table.name not in SEEDED and count_rows(connection, table)]
    if not filled:
        return
    name = connection.engine.url.database
    if connection.dialect.name == "sqlite":
        raise MigrationRefusedError(f"{name} holds a control plane already. Move it out of the way first.")
    raise MigrationRefusedError(
        f"The PostgreSQL database {name} is not empty ({filled[0]}). Name an empty one in "
        "CONTROLPLANE_DATABASE_URL, or drop this one and make it anew, if nobody needs what it holds."
    )


def _refuse_replicas(connection: Connection) -> None:
    """Refuse while a replica on any host has the PostgreSQL database open."""
    others = connection.execute(
        text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = :name"
        ),
        {"name": APPLICATION_NAME},
    ).scalar_one()
    if others:
        raise MigrationRefusedError("A replica of the control plane is running. Stop all of them first.")


@contextmanager
def _hold_alone(settings: ControlPlaneSettings) -> Iterator[None]:
    try:
        with hold_lock(settings.state_directory / IN_USE, waiting=False):
            yield
    except BlockingIOError as error:
        raise MigrationRefusedError(
            "The control plane is running. Stop it first: systemctl stop controlplane."
        ) from error
