"""The database's edge: how it is opened and upgraded.

For: everything that only SQLite needs; other modules use SQL that PostgreSQL knows as well.
Not for: queries. They live with the domain that asks them.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import sessionmaker
from sqlmodel import Session

from controlplane.errors import BadInstallationError

BUSY_TIMEOUT_SECONDS = 10.0
MIGRATIONS = Path(__file__).parent / "migrations"

Sessions = sessionmaker[Session]


def open_sqlite(path: Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Engine:
    """Open a database file; a writer waits `busy_timeout_seconds` for another one before it gives up."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": busy_timeout_seconds})

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(
            "PRAGMA synchronous = FULL"
        )  # WAL's usual NORMAL may lose the last commits in a power cut
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")  # a key that was deleted shall not stay in a free page
        cursor.close()

    return engine


def open_sessions(engine: Engine) -> Sessions:
    """Build what makes sessions. Rows stay readable after their commit."""
    return sessionmaker(engine, class_=Session, expire_on_commit=False)


def upgrade_database(engine: Engine, revision: str = "head") -> None:
    """Bring the database to a revision, as one transaction.

    The caller holds the lock that keeps other processes from doing the same.

    Raises:
        BadInstallationError: The file is no database of ours, or one of a newer version.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            if current == (scripts.get_current_head() if revision == "head" else revision):
                return
            known = {script.revision for script in scripts.walk_revisions()}
            if current is not None and current not in known:
                raise BadInstallationError(
                    "The database was written by a newer version. Install that version, or restore a backup."
                )
            if engine.dialect.name == "sqlite":
                connection.rollback()
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # or each DDL statement would stand alone
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
    except DatabaseError as error:
        raise BadInstallationError(
            f"The database cannot be opened: {error.orig}. Look at its owner and its disk."
        ) from error
