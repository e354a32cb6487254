"""A PostgreSQL server of the tests' own, in a temporary directory, reached by a socket; and databases in it.

It is started when it is first asked for, and ended with the process that did. PostgreSQL runs not as root.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from support.clocks import wait_until

ENGINE = os.environ.get("MADFLEET_TEST_ENGINE", "sqlite")
"""Which engine the control plane of the tests has: `sqlite` or `postgresql`."""

reads_the_file = pytest.mark.skipif(ENGINE != "sqlite", reason="looks into SQLite's file")

USER = "postgres"
SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=300", "listen_addresses=")
READY_SECONDS = 15


def make_database(name: str, template: str = "template1") -> str:
    """Make a database of this name unless there is one, empty or like another one; return its URL."""
    directory = start_server()
    with psycopg.connect(_url(directory, USER), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if found is None:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    return _url(directory, name)


def database_of(directory: Path, template: str = "template1") -> str:
    """Make the database that belongs to a directory of a test; return its URL."""
    return make_database("test_" + sha256(str(directory).encode()).hexdigest()[:32], template)


@cache
def start_server() -> Path:
    """Start the server; return the directory of its socket."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    directory = Path(tempfile.mkdtemp(prefix="madfleet-postgresql-"))
    user = USER if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(directory, user, user)
    data = directory / "data"
    subprocess.run(
        [programs / "initdb", "--no-sync", "--auth=trust", f"--username={USER}", "--encoding=UTF8", data],
        check=True,
        stdout=subprocess.DEVNULL,
        user=user,
        group=user,
        cwd=directory,
    )
    options = [word for setting in SETTINGS for word in ("-c", setting)]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", directory, *options],
            stdout=log,
            stderr=log,
            user=user,
            group=user,
            cwd=directory,
            start_new_session=True,  # an interrupt at the terminal is for the tests
        )

    def end() -> None:
        server.terminate()
        try:
            server.wait(READY_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(directory)

    atexit.register(end)
    wait_until(lambda: _answers(directory), READY_SECONDS)
    return directory


def _answers(directory: Path) -> bool:
    try:
        psycopg.connect(_url(directory, USER)).close()
    except psycopg.OperationalError:
        return False
    return True


def _url(directory: Path, name: str) -> str:
    return f"postgresql://{USER}@/{name}?host={quote(str(directory), safe='')}"
