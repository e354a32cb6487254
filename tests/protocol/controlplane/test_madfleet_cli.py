"""The command line as an operator meets it; what needs no process of its own runs in this one."""

import getpass
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from controlplane.admins.access import Role
from controlplane.admins.audit import AuditFilter, page_audit
from controlplane.admins.tokens import Caller, TokenBook
from controlplane.cli import main as cli
from controlplane.cli.main import app
from controlplane.client.output import make_printable, write_table
from controlplane.nodes.reports import list_nodes
from controlplane.plane import open_plane
from controlplane.settings import ControlPlaneSettings
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import NodeKind
from nodelink.daemon.settings import read_settings
from support.controlplane_process import Installation, install

KEY = PrivateKey.generate().public.x


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """Undo what a command sets up for its process."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return install(tmp_path)


def settings_of(installation: Installation) -> ControlPlaneSettings:
    return read_settings(ControlPlaneSettings, installation.settings)


def identify(installation: Installation, token: str) -> Caller | None:
    with open_plane(settings_of(installation)) as plane, plane.sessions() as session:
        return TokenBook(plane.vault, None).identify(session, token, int(time.time()))


def read_keys(installation: Installation) -> dict[str, str]:
    with open_plane(settings_of(installation)) as plane, plane.sessions() as session:
        return {node.name: node.public_key for node in list_nodes(session, int(time.time()))}


def run(installation: Installation, *arguments: str) -> str:
    """Run a command that succeeds; return what it prints on standard output."""
    result = CliRunner().invoke(app, ["--settings", str(installation.settings), *arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


Refuse = Callable[..., tuple[int, str]]


@pytest.fixture
def refuse(
    installation: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Refuse:
    """Run a command that fails, through the same door as the installed program."""

    def refuse(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["madfleet", "--settings", str(installation.settings), *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert isinstance(end.value.code, int)
        return end.value.code, capsys.readouterr().err

    return refuse


def test_every_command_explains_itself(installation: Installation) -> None:
    help_text = run(installation, "--help")

    for command in ("enrol", "admin-token", "signing-key", "rotate-signing-key", "backup", "restore"):
        assert command in help_text
        assert "Usage" in run(installation, command, "--help")


def test_admin_token_is_shown_once_with_address_and_code(installation: Installation) -> None:
    output = run(installation, "admin-token", "--name", "bob", "--role", "viewer")

    token = re.search(r"madfleet-admin-\S+", output)
    assert token is not None
    assert f"{installation.url}/admin" in output
    assert f"Admin API: {installation.url}/api/admin" in output
    assert re.search(r"https://admin\.madmail\.chat/#[A-Za-z0-9_-]{100,}\n", output)
    assert output.count("█") > 200
    assert "not shown again" in output
    caller = identify(installation, token[0])
    assert caller is not None
    assert (caller.name, caller.role) == ("bob", Role.VIEWER)


def test_replaced_admin_token_is_good_no_more(installation: Installation) -> None:
    first = json.loads(run(installation, "admin-token", "--json"))
    second = json.loads(run(installation, "admin-token", "--json", "--replace"))

    assert identify(installation, first["token"]) is None
    assert identify(installation, second["token"]) is not None
    assert second["link"] == f"{installation.url}/#token={second['token']}"


def test_enrolment_is_printed_or_written(installation: Installation, tmp_path: Path) -> None:
    printed = Enrolment.model_validate_json(
        run(installation, "enrol", "mail1", "--kind", "mail", "--public-key", KEY)
    )
    file = tmp_path / "enrolment.json"
    run(installation, "enrol", "mail1", "--kind", "mail", "--public-key", KEY, "--output", str(file))

    assert (printed.node, printed.kind, printed.url) == ("mail1", NodeKind.MAIL, installation.url)
    assert Enrolment.model_validate_json(file.read_bytes()) == printed


def test_key_is_replaced_only_on_demand(installation: Installation, refuse: Refuse) -> None:
    other = PrivateKey.generate().public.x
    enrol = ("enrol", "mail1", "--kind", "mail", "--public-key")
    run(installation, *enrol, KEY)

    code, error = refuse(*enrol, other)
    run(installation, *enrol, other, "--replace-key")

    assert (code, "replaced" in error) == (1, True)
    assert read_keys(installation) == {"mail1": other}


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        (("enrol", "mail1", "--kind", "mail", "--public-key", "x"), 2, "identity"),
        (("enrol", "mail1", "--kind", "web", "--public-key", KEY), 2, "'mail', 'turn'"),
        (
            ("enrol", "mail1", "--kind", "mail", "--public-key", KEY, "--output", "/nowhere/x"),
            2,
            "/nowhere/x",
        ),
        (("enrol", "Mail 1", "--kind", "mail", "--public-key", KEY), 2, "DNS label"),
        (("admin-token", "--name", "\x1b"), 2, "letters"),
        (("nowhere",), 2, "nowhere"),
    ],
)
def test_refusal_names_the_remedy(refuse: Refuse, arguments: tuple[str, ...], code: int, remedy: str) -> None:
    refused = refuse(*arguments)

    assert refused[0] == code
    assert remedy in refused[1]


def test_refused_enrolment_file_leaves_no_node_behind(installation: Installation, refuse: Refuse) -> None:
    (installation.directory / "tls.crt").unlink()
    enrol = ("enrol", "mail1", "--kind", "mail", "--public-key", KEY)

    code, error = refuse(*enrol)

    assert (code, "tls.crt" in error) == (2, True)
    assert read_keys(installation) == {}


def test_installed_program_runs_and_prints_nothing_else(installation: Installation) -> None:
    made = installation.run("admin-token", "--json")

    assert (made.returncode, made.stderr) == (0, "")
    assert json.loads(made.stdout)["url"] == f"{installation.url}/admin"


def test_wrong_configuration_ends_with_code_2_and_one_sentence(installation: Installation) -> None:
    with installation.settings.open("a") as file:
        file.write("CONTROLPLANE_COLOUR=blue\n")
    ended = installation.run("signing-key")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "CONTROLPLANE_COLOUR is no setting. Remove it, or correct its spelling.\n"


def test_settings_may_come_from_the_environment(installation: Installation) -> None:
    lines = installation.settings.read_text().splitlines()
    environment = os.environ | dict(line.split("=", 1) for line in lines)
    command = [sys.executable, "-m", "controlplane.cli.main", "admin-token", "--json"]

    made = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=15)

    assert installation.url in made.stdout


def test_table_has_straight_columns() -> None:
    assert write_table(("A", "BB"), [("ccc", "d"), ("e", "f")]) == "A    BB\nccc  d\ne    f"
    assert make_printable("a\x00b\x9bc\u202ed") == "a?b?c?d"


def test_what_commands_change_stands_in_the_audit_log(installation: Installation) -> None:
    run(installation, "enrol", "mail1", "--kind", "mail", "--public-key", KEY)
    run(installation, "admin-token", "--name", "bob")

    with open_plane(settings_of(installation)) as plane, plane.sessions() as session:
        entries = page_audit(session, plane.vault, AuditFilter(), None, 10)
    assert [entry.action for entry in entries] == [
        "admin-token.create",
        "node.enrol",
    ]
    assert {(entry.admin, entry.token) for entry in entries} == {
        (f"host {getpass.getuser()}", "command line")
    }
