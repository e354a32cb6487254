"""The database's edge: how it is opened and upgraded.

For: everything that only one of SQLite and PostgreSQL needs; other modules use SQL that both know.
Not for: queries. They live with the domain that asks them.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import sessionmaker
from sqlmodel import Session

from controlplane.errors import AbsentDatabaseError, BadInstallationError

BUSY_TIMEOUT_SECONDS = 10.0
STATEMENT_SECONDS = 30
IDLE_SECONDS = 20
CONNECT_SECONDS = 5
CONNECTIONS, MORE_CONNECTIONS = 20, 30
"""Of one replica: as many as requests and channels are at work at once."""
STARTING_LOCK = 0x6D6164666C656574
"""What replicas agree on, so that one of them upgrades; the letters of our name."""
APPLICATION_NAME = "madfleet"
MIGRATIONS = Path(__file__).parent / "migrations"

Sessions = sessionmaker[Session]


def open_sqlite(path: Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Engine:
    """Open a database file; a writer waits `busy_timeout_seconds` for another one before it gives up."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": busy_timeout_seconds},
        pool_size=CONNECTIONS,  # opening one costs more than most of what is then asked
        max_overflow=MORE_CONNECTIONS,
    )

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


def open_postgresql(url: str, *, application_name: str = APPLICATION_NAME) -> Engine:
    """Open a PostgreSQL database. Nothing is asked of it yet.

    A replica whose host is gone must not hold the others off: the server ends what waits too long.
    """
    limits = {
        "lock_timeout": f"{BUSY_TIMEOUT_SECONDS:.0f}s",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
        "tcp_keepalives_idle": str(IDLE_SECONDS),
    }
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,  # a connection from before the server's restart is replaced
        pool_size=CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        isolation_level="READ COMMITTED",  # `begin_change` needs it, whatever the server's default is
        connect_args={
            "application_name": application_name,
            "connect_timeout": CONNECT_SECONDS,
            "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
        },
    )


def hold_off_starts(connection: Connection) -> None:
    """Hold other replicas off that start, until the end of the transaction.

    Only PostgreSQL needs it: processes with one SQLite file are on one host, and hold a file's lock.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": STARTING_LOCK})


def open_sessions(engine: Engine) -> Sessions:
    """Build what makes sessions. Rows stay readable after their commit."""
    return sessionmaker(engine, class_=Session, expire_on_commit=False)


def upgrade_database(engine: Engine, revision: str = "head") -> None:
    """Bring the database to a revision, as one transaction.

    The caller holds the lock that keeps other processes of this host from doing the same.

    Raises:
        AbsentDatabaseError: PostgreSQL does not answer.
        BadInstallationError: The file is no database of ours, or one of a newer version.
    """
    try:
        if revision != "head" or not _is_newest(engine):
            _migrate(engine, revision)
    except DatabaseError as error:
        if engine.dialect.name == "postgresql" and isinstance(error, OperationalError):
            raise AbsentDatabaseError(_explain(engine, error)) from error
        raise BadInstallationError(_explain(engine, error)) from error


def _is_newest(engine: Engine) -> bool:
    """Tell whether the last migration there is was done."""
    newest = max(path.stem for path in (MIGRATIONS / "versions").glob("r*.py"))
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        done = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return [newest[1:5]] == list(done)


def _migrate(engine: Engine, revision: str) -> None:
    # Alembic would make every command slower to start, and is hardly ever needed.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        hold_off_starts(connection)
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


def _explain(engine: Engine, error: DatabaseError) -> str:
    problem = " ".join(str(error.orig).split())
    if engine.dialect.name == "postgresql":
        return f"PostgreSQL cannot be used: {problem}. Look at CONTROLPLANE_DATABASE_URL and at the server."
    return f"The database cannot be opened: {problem}. Look at its owner and its disk."
