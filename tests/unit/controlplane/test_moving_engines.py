"""A control plane goes from one engine to the other with everything that it holds, and comes back."""

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, select
from sqlmodel import select as select_of

from controlplane.backup.restoring import restore_backup
from controlplane.backup.taking import take_backup
from controlplane.copying import list_tables
from controlplane.errors import MigrationRefusedError
from controlplane.migrate import DatabaseEngine, migrate
from controlplane.nodes.models import Node
from controlplane.plane import DATABASE, open_database, open_plane
from controlplane.settings import ControlPlaneSettings
from support.controlplane_site import NOW, add_group, add_node, add_token, make_settings
from support.postgresql import make_database

ROWS = 1_100
"""More than one batch."""


@pytest.fixture
def settings(tmp_path: Path) -> ControlPlaneSettings:
    url = make_database("moving_" + sha256(str(tmp_path).encode()).hexdigest()[:32])
    return make_settings(tmp_path, database_url=SecretStr(url))


@pytest.fixture
def filled(settings: ControlPlaneSettings) -> ControlPlaneSettings:
    """A SQLite file that has been in use."""
    without = settings.model_copy(update={"database_url": None})
    with open_plane(without) as plane:
        add_node(plane, "mail1")
        add_group(plane, "europe", "mail1")
        for number in range(3):
            add_token(plane, name=f"admin{number}")
    with closing(sqlite3.connect(settings.state_directory / DATABASE)) as database:
        database.executemany(
            "INSERT INTO kept_answer VALUES ('p', ?, 'h', 201, '{}', 's', 9)",
            [(str(number),) for number in range(ROWS)],
        )
        database.commit()
    return settings


def read_all(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    try:
        with engine.connect() as connection:
            return {
                table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
                for table in list_tables(engine)
            }
    finally:
        engine.dispose()


def read_sqlite(settings: ControlPlaneSettings) -> dict[str, list[tuple[object, ...]]]:
    return read_all(open_database(settings.model_copy(update={"database_url": None})))


def test_everything_goes_to_postgresql_and_back(filled: ControlPlaneSettings) -> None:
    before = read_sqlite(filled)

    moved = migrate(filled, DatabaseEngine.POSTGRESQL)
    assert moved.rows["kept_answer"] == ROWS
    assert sum(moved.rows.values()) == sum(len(rows) for rows in before.values())
    assert read_all(open_database(filled)) == before
    with open_plane(filled) as plane:
        add_token(plane, name="the next")  # whose number follows those that were moved
        assert len(plane.keys.trusted) == 1

    after = read_all(open_database(filled))
    (filled.state_directory / DATABASE).rename(filled.state_directory / "former.sqlite")
    migrate(filled, DatabaseEngine.SQLITE)
    assert read_sqlite(filled) == after
    assert len(after["admin_token"]) == 4


def test_target_that_holds_something_is_refused(filled: ControlPlaneSettings) -> None:
    migrate(filled, DatabaseEngine.POSTGRESQL)

    with pytest.raises(MigrationRefusedError, match="is not empty"):
        migrate(filled, DatabaseEngine.POSTGRESQL)
    with pytest.raises(MigrationRefusedError, match="Move it out of the way"):
        migrate(filled, DatabaseEngine.SQLITE)


def test_control_plane_that_is_open_is_not_moved(filled: ControlPlaneSettings) -> None:
    without = filled.model_copy(update={"database_url": None})
    with open_plane(without), pytest.raises(MigrationRefusedError, match="Stop it first"):
        migrate(filled, DatabaseEngine.POSTGRESQL)


def test_replica_on_another_host_is_noticed(filled: ControlPlaneSettings, tmp_path: Path) -> None:
    elsewhere = make_settings(tmp_path / "elsewhere", database_url=filled.database_url)
    with open_plane(elsewhere), pytest.raises(MigrationRefusedError, match="Stop all of them"):
        migrate(filled, DatabaseEngine.POSTGRESQL)


def test_setting_and_file_must_be_there(settings: ControlPlaneSettings) -> None:
    with pytest.raises(MigrationRefusedError, match="nothing to move"):
        migrate(settings, DatabaseEngine.POSTGRESQL)
    without = settings.model_copy(update={"database_url": None})
    with pytest.raises(MigrationRefusedError, match="CONTROLPLANE_DATABASE_URL is not set"):
        migrate(without, DatabaseEngine.SQLITE)


def test_backup_of_postgresql_is_one_of_sqlite(filled: ControlPlaneSettings, tmp_path: Path) -> None:
    migrate(filled, DatabaseEngine.POSTGRESQL)
    with open_plane(filled) as plane:
        taken, trusted = take_backup(plane, tmp_path / "backup", NOW), plane.keys.trusted
    elsewhere = make_settings(tmp_path / "elsewhere", database_url=None)

    restore_backup(elsewhere.state_directory, tmp_path / "backup", NOW, replacing=False)

    assert taken.contents.nodes == 1
    with open_plane(elsewhere) as restored, restored.sessions() as session:
        assert session.exec(select_of(Node.name)).one() == "mail1"
        assert restored.keys.trusted == trusted
