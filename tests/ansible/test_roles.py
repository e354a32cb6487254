"""House rules about roles that ansible-lint does not know."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.settings import ControlPlaneSettings

ROOT = Path(__file__).parents[2]
ROLES = sorted((ROOT / "ansible" / "roles").iterdir())
every_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def read_options(role: Path) -> dict[str, dict[str, Any]]:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
    options: dict[str, dict[str, Any]] = specs["argument_specs"]["main"]["options"]
    return options


@every_role
def test_defaults_are_those_that_the_argument_specs_document(role: Path) -> None:
    documented = {
        name: option["default"] for name, option in read_options(role).items() if "default" in option
    }

    assert yaml.safe_load((role / "defaults/main.yml").read_text()) == documented


@every_role
def test_variable_is_either_required_or_has_a_default(role: Path) -> None:
    undecided = [
        name
        for name, option in read_options(role).items()
        if option.get("required", False) == ("default" in option)
    ]

    assert undecided == []


@every_role
def test_variable_bears_the_name_of_its_role_and_a_full_sentence(role: Path) -> None:
    wrong = [
        name
        for name, option in read_options(role).items()
        if not name.startswith(role.name + "_") or not option["description"].strip().endswith(".")
    ]

    assert wrong == []


@every_role
def test_no_role_knows_a_group(role: Path) -> None:
    text = "".join(file.read_text() for file in role.rglob("*.*") if file.suffix in {".yml", ".j2"})

    assert re.findall(r"groups\[|hostvars|group_names", text) == []


def test_secrets_of_the_control_plane_are_files_and_no_settings() -> None:
    variables = yaml.safe_load((ROOT / "ansible/roles/controlplane/vars/main.yml").read_text())
    secrets = {
        f"controlplane_{name}"
        for name, field in ControlPlaneSettings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }

    assert variables["__controlplane_secrets"].keys() == secrets
    assert not {name.upper() for name in secrets} & variables["__controlplane_settings"].keys()
    assert secrets | {"controlplane_fleet_database_url"} == {
        name
        for name, option in read_options(ROOT / "ansible/roles/controlplane").items()
        if option.get("no_log")
    }


def test_task_that_sees_a_secret_of_the_control_plane_tells_nothing() -> None:
    role = ROOT / "ansible/roles/controlplane"
    tasks = yaml.safe_load((role / "tasks/configure.yml").read_text())
    writing = [task for task in tasks if "__controlplane_secrets[" in str(task)]

    assert [(task["no_log"], task["diff"], task["notify"]) for task in writing] == [
        (True, False, "Restart controlplane")
    ]


def test_daemons_look_for_challenges_where_the_acme_client_puts_them() -> None:
    variables = yaml.safe_load((ROOT / "ansible/roles/tls_acme/vars/main.yml").read_text())
    webroot = variables["__tls_acme_webroot"].replace(
        "{{ __tls_acme_state_directory }}", variables["__tls_acme_state_directory"]
    )

    for role in ("controlplane", "exchanger", "mailnode"):
        options = read_options(ROOT / "ansible/roles" / role)
        assert options[f"{role}_acme_challenge_directory"]["default"] == (
            f"{webroot}/.well-known/acme-challenge"
        )


def test_example_inventory_names_every_variable_that_an_operator_sets() -> None:
    text = (ROOT / "inventories/example/fleet.yml").read_text()
    roles = (
        "controlplane",
        "mailnode",
        "turnnode",
        "exchanger",
        "postgresql",
        "tls_certificate",
        "tls_acme",
        "host_firewall",
    )
    not_for_operators = re.compile(
        r".*_(acme_challenge_directory|bundle|tls_certificate|tls_key|openings|names|pinned|is_self_signed|enabled|release"
        r"|fleet_database_url|replicas|members|clients|packages)$"
    )
    wanted = [
        name
        for role in roles
        for name in read_options(ROOT / "ansible/roles" / role)
        if not not_for_operators.match(name)
    ]

    assert [name for name in wanted if name not in text] == []
