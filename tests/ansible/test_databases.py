"""What is written from an inventory about the fleet's own PostgreSQL is what PostgreSQL and psycopg take."""

from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.database import open_postgresql
from support.ansible_filters import load_filters
from support.postgresql import make_database

FILTERS = load_filters()
HOSTS: list[dict[str, object]] = [
    {"inventory_hostname": "db2", "ansible_host": "2001:db8::42", "postgresql_role": "standby"},
    {
        "inventory_hostname": "db1",
        "ansible_host": "db1.example.org",
        "postgresql_address": "192.0.2.41",
        "postgresql_port": 5433,
    },
    {"inventory_hostname": "db3", "ansible_host": "192.0.2.43", "postgresql_enabled": False},
]


@pytest.fixture(scope="module")
def server() -> Iterator[psycopg.Connection]:
    with psycopg.connect(make_database("test_databases"), autocommit=True) as connection:
        yield connection


def test_primary_comes_first_and_what_is_off_is_left_out() -> None:
    assert FILTERS["list_databases"](HOSTS) == [
        {"name": "db1", "address": "192.0.2.41", "port": 5433, "role": "primary"},
        {"name": "db2", "address": "2001:db8::42", "port": 5432, "role": "standby"},
    ]


def test_url_leads_sqlalchemy_and_libpq_to_all_databases() -> None:
    url = FILTERS["to_database_url"](FILTERS["list_databases"](HOSTS), "secret")
    wanted = {"host": "192.0.2.41,2001:db8::42", "port": "5433,5432", "target_session_attrs": "read-write"}

    engine = open_postgresql(url)
    _, by_sqlalchemy = engine.dialect.create_connect_args(engine.url)
    by_libpq = psycopg.conninfo.conninfo_to_dict(url)

    for found in (by_sqlalchemy, by_libpq):
        assert {name: found[name] for name in wanted} == wanted
        assert found["channel_binding"] == "require"
        assert (found["user"], found["password"], found["dbname"]) == ("madfleet", "secret", "madfleet")


def test_without_databases_there_is_no_url() -> None:
    assert FILTERS["to_database_url"]([], "") == ""


@given(password=st.from_regex(r"[A-Za-z0-9]{32,256}", fullmatch=True))
@settings(max_examples=20)
def test_verifier_is_the_one_that_libpq_makes(server: psycopg.Connection, password: str) -> None:
    made = server.pgconn.encrypt_password(password.encode(), b"madfleet", b"scram-sha-256").decode()
    salt = b64decode(made.split("$")[1].partition(":")[2])

    assert FILTERS["to_scram_verifier"](password, "madfleet", salt) == made


def test_postgresql_keeps_the_verifier_as_it_is(server: psycopg.Connection) -> None:
    verifier = FILTERS["to_scram_verifier"]("secret" * 6, "verified")

    server.execute("DROP ROLE IF EXISTS verified")
    server.execute(f"CREATE ROLE verified PASSWORD '{verifier}'".encode())

    # It would hash whatever it does not take for a verifier.
    kept = server.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'verified'").fetchone()
    assert kept == (verifier,)


def test_same_password_has_the_same_verifier_and_another_user_another_one() -> None:
    write = FILTERS["to_scram_verifier"]

    assert write("a" * 32, "madfleet") == write("a" * 32, "madfleet")
    assert len({write(password * 32, user) for password in "ab" for user in ("one", "two")}) == 4


@pytest.mark.parametrize(
    ("written", "network"),
    [("192.0.2.10", "192.0.2.10/32"), ("2001:db8::10", "2001:db8::10/128"), ("192.0.2.0/28", "192.0.2.0/28")],
)
def test_address_is_written_as_a_network(written: str, network: str) -> None:
    assert FILTERS["to_network"](written) == network


def test_name_is_no_network() -> None:
    with pytest.raises(ValueError, match=r"Write one such as 192\.0\.2\.10"):
        FILTERS["to_network"]("db.example.org")


@pytest.mark.parametrize(
    ("url", "is_by_network"),
    [
        ("", False),
        ("postgresql:///name", False),
        (f"postgresql://user@/name?host={quote('/run/postgresql', safe='')}", False),
        ("postgresql://user@/name?host=/run/postgresql", False),
        ("postgresql://user@db.example.org/name", True),
        ("postgresql://user@/name?host=/run/postgresql,db.example.org", True),
        ("postgresql://user@/name?hostaddr=192.0.2.41&host=db", True),
    ],
)
def test_database_by_a_network_is_told_from_one_by_a_socket(url: str, is_by_network: bool) -> None:
    assert FILTERS["is_network_database"](url) is is_by_network


def test_only_addresses_are_listed() -> None:
    assert FILTERS["list_addresses"](HOSTS) == ["2001:db8::42", "192.0.2.43"]


def test_name_of_a_slot_is_one() -> None:
    assert FILTERS["to_slot_name"]("DB-2.example.org") == "madfleet_db_2_example_org"
