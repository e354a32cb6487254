"""The database comes to its present form from every earlier one, with all that it holds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlmodel import SQLModel, select

from controlplane.admins.access import WHOLE_FLEET
from controlplane.admins.models import AdminToken
from controlplane.database import MIGRATIONS, open_sessions, open_sqlite, upgrade_database
from controlplane.errors import BadInstallationError
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.turn_access import TurnService
from controlplane.nodes.turn_pools import read_choices
from controlplane.policy.service import read_fleet_policy, read_node_policy
from nodelink.contract.keys import PrivateKey

KEY = PrivateKey.generate().public.x


def fill_nodes(connection: Connection) -> None:
    connection.execute(
        text(
            "INSERT INTO node (name, kind, public_key, enrolled_at_seconds, revision, residue, state_digest)"
            " VALUES ('mail1', 'mail', :key, 1, 4, 0, 'x')"
        ),
        {"key": KEY},
    )
    connection.execute(text("INSERT INTO node_report VALUES ('mail1', 1, '{}')"))
    connection.execute(text("INSERT INTO join_ticket VALUES (1, 'mail2', 'mail', 'x', false, 9, NULL)"))
    connection.execute(
        text(
            "UPDATE fleet SET change_count = 4, mail_nodes_ever = 1,"
            " turn_host = '192.0.2.1', turn_port = 3478"
        )
    )


def fill_policy(connection: Connection) -> None:
    connection.execute(text("UPDATE fleet_policy SET revision = 3, registration_open = false"))
    connection.execute(
        text("INSERT INTO node_policy (node_name, revision) SELECT name, 1 FROM node WHERE true")
    )


def fill_admins(connection: Connection) -> None:
    connection.execute(
        text(
            "INSERT INTO admin_token (id, name, role, prefix, secret_hash, created_at_seconds)"
            " VALUES (1, 'alice', 'owner', 'p', 'h', 1)"
        )
    )


def fill_groups(connection: Connection) -> None:
    connection.execute(text("INSERT INTO node_group VALUES ('eu', 'Europe')"))
    connection.execute(text("INSERT INTO node_group_member VALUES ('mail1', 'eu')"))
    connection.execute(text("INSERT INTO group_policy (group_name, revision) VALUES ('eu', 1)"))


def fill_audit(connection: Connection) -> None:
    connection.execute(
        text("INSERT INTO audit_entry VALUES (1, 9, 'alice', 'p', 'node.retire', 'mail2', NULL, NULL, '{}')")
    )
    connection.execute(text("INSERT INTO kept_answer VALUES ('p', 'k', 'h', 201, '{}', 's', 9)"))


def fill_signing_keys(connection: Connection) -> None:
    connection.execute(text("INSERT INTO signing_key VALUES (1, 'x', 'sealed', NULL, 1, 1)"))


def fill_turn_secrets(connection: Connection) -> None:
    connection.execute(text("INSERT INTO turn_secret VALUES (1, 'sealed', 1, 1, NULL)"))


def fill_siblings(connection: Connection) -> None:
    connection.execute(text("INSERT INTO sibling_list VALUES (1, 1, 'd', '{}')"))


def fill_turn_offers(connection: Connection) -> None:
    connection.execute(text("INSERT INTO turn_offer VALUES (443, '192.0.2.2')"))


FILLERS: dict[str, Callable[[Connection], None]] = {
    "0001": fill_nodes,
    "0002": fill_policy,
    "0003": fill_admins,
    "0004": lambda _: None,
    "0005": lambda _: None,
    "0006": fill_signing_keys,
    "0007": lambda _: None,
    "0008": fill_groups,
    "0009": fill_audit,
    "0010": lambda _: None,
    "0011": lambda _: None,
    "0012": fill_turn_secrets,
    "0013": lambda _: None,
    "0014": lambda _: None,
    "0015": fill_siblings,
    "0016": lambda _: None,
    "0017": lambda _: None,
    "0018": lambda _: None,
    "0019": lambda _: None,
    "0021": lambda _: None,
    "0022": lambda _: None,
    "0023": fill_turn_offers,
    "0024": lambda _: None,
    "0025": lambda _: None,
    "0026": lambda _: None,
}


def list_revisions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]


REVISIONS = list_revisions()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_sqlite(tmp_path / "controlplane.sqlite")
    yield engine
    engine.dispose()


def fill(engine: Engine, revision: str) -> None:
    """Fill the tables that there are at a revision, each as its own release would have."""
    upgrade_database(engine, revision)
    with engine.begin() as connection:
        for earlier in REVISIONS[: REVISIONS.index(revision) + 1]:
            FILLERS[earlier](connection)


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_filled_database_of_each_earlier_revision_is_upgraded(engine: Engine, revision: str) -> None:
    fill(engine, revision)

    upgrade_database(engine)

    with open_sessions(engine)() as session:
        assert read_node(session, "mail1").revision == 4
        assert read_node(session, "mail1").weight == 100
        assert read_node_policy(session, "mail1").revision == 1
        assert read_fleet_policy(session).registration_open is (revision == "0001")
        assert not read_node(session, "mail1").is_draining
        assert not read_fleet_policy(session).registration_token_required
        assert read_fleet_policy(session).app_accounts_enabled
        assert read_fleet_policy(session).backup_addresses == 1
        assert read_fleet_policy(session).turn_enabled
        assert read_fleet_policy(session).push_enabled
        assert not read_fleet_policy(session).push_pauses
        assert read_fleet_policy(session).retention_days_when_on == 30
        [turn] = read_choices(session).values()
        assert turn.usual == TurnService("192.0.2.1", 3478)
        assert turn.offers == ({443: "192.0.2.2"} if revision >= "0023" else {})
        for token in session.exec(select(AdminToken)):
            assert (token.scope, token.expires_at_seconds) == (WHOLE_FLEET, None)


def test_every_revision_has_its_content_in_this_test() -> None:
    assert list(FILLERS) == REVISIONS


def test_upgraded_database_is_what_the_models_say(engine: Engine) -> None:
    upgrade_database(engine)

    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []


def test_every_constraint_has_a_name(engine: Engine) -> None:
    upgrade_database(engine)
    tables = inspect(engine)
    names = [
        constraint["name"]
        for table in tables.get_table_names()
        if table != "alembic_version"
        for constraint in (
            tables.get_pk_constraint(table),
            *tables.get_unique_constraints(table),
            *tables.get_foreign_keys(table),
            *tables.get_check_constraints(table),
        )
    ]

    assert len(names) > 15
    assert all(names)


def test_upgrade_that_fails_leaves_everything_as_it_was(engine: Engine) -> None:
    fill(engine, "0001")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE node_policy (x INTEGER)"))  # in the way of 0002

    with pytest.raises(BadInstallationError):
        upgrade_database(engine)

    assert "fleet_policy" not in inspect(engine).get_table_names()


def test_database_of_a_newer_version_is_refused(engine: Engine) -> None:
    upgrade_database(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(BadInstallationError, match="newer version"):
        upgrade_database(engine)


def test_the_newest_migration_is_known_by_its_file() -> None:
    """Alembic is not asked whether anything is to be done; it takes a quarter of a second to load."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    files = sorted(path.stem for path in (MIGRATIONS / "versions").glob("r*.py"))

    assert sorted(script.revision for script in scripts.walk_revisions()) == [name[1:5] for name in files]
    assert scripts.get_current_head() == files[-1][1:5]


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "controlplane.sqlite"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    engine = open_sqlite(path)

    with pytest.raises(BadInstallationError, match="cannot be opened"):
        upgrade_database(engine)
    engine.dispose()


def test_database_survives_a_power_cut(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_what_was_deleted_does_not_stay_in_the_file(engine: Engine, tmp_path: Path) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE key (number INTEGER PRIMARY KEY, sealed TEXT)")
        secret = "0123456789abcdef" * 16
        connection.exec_driver_sql("INSERT INTO key VALUES (1, ?), (2, 'x')", (secret,))
        connection.commit()
        connection.exec_driver_sql("UPDATE key SET sealed = NULL WHERE number = 1")
        connection.commit()
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    content = (tmp_path / "controlplane.sqlite").read_bytes()
    assert b"CREATE TABLE key" in content
    assert secret[:32].encode() not in content
