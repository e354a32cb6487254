"""What every unit must say, whether or not the lab can enforce it."""

import re
from pathlib import Path

import pytest
from jinja2 import Environment

from support.ansible_filters import load_filters

TEMPLATES = sorted((Path(__file__).parents[2] / "ansible" / "roles").glob("*/templates/unit.service.j2"))
BACKUP_UNIT = Path(__file__).parents[2] / "ansible/roles/controlplane/templates/backup.service.j2"
every_unit = pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.parents[1].name)


def test_there_is_a_unit_for_each_daemon() -> None:
    assert [template.parents[1].name for template in TEMPLATES] == [
        "controlplane",
        "exchanger",
        "mailnode",
        "turnnode",
    ]


@every_unit
@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "WatchdogSec=30",
        "RestartPreventExitStatus=2",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "MemoryDenyWriteExecute=yes",
        "UMask=0077",
        "StateDirectoryMode=0700",
        "SystemCallFilter=~@privileged @resources",
    ],
)
def test_unit_has_the_line(template: Path, line: str) -> None:
    assert line in template.read_text().splitlines()


@every_unit
@pytest.mark.parametrize("option", ["PrivateUsers=", "IPAddressDeny="])
def test_hardening_that_is_left_out_has_its_reason(template: Path, option: str) -> None:
    lines = template.read_text().splitlines()
    name = option.rstrip("=")

    assert any(line.startswith((option, f"# No {name}")) or f"no {name}, because" in line for line in lines)


def write_backup_unit(database_url: str) -> list[str]:
    templates = Environment(autoescape=False)  # noqa: S701 - a unit, no page
    templates.filters |= load_filters() | {"comment": "# {}".format}
    templates.tests["match"] = lambda text, pattern: re.match(pattern, text) is not None
    return (
        templates.from_string(BACKUP_UNIT.read_text())
        .render(
            controlplane_backup_directory="/var/backups/madfleet", __controlplane_database_url=database_url
        )
        .splitlines()
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://a:b@db.example.org/c",
        "postgresql://a:b@/c?host=192.0.2.41,192.0.2.42&port=1,2",
        "postgres://a:b@[2001:db8::41]:5433/c",
    ],
)
def test_backup_of_a_database_elsewhere_has_a_network_and_nothing_else_more(url: str) -> None:
    alone, networked = write_backup_unit(""), write_backup_unit(url)

    assert [line for line in alone if line not in networked] == [
        "# Network: none. The lock with the service is a file.",
        "PrivateNetwork=yes",
        "IPAddressDeny=any",
        "RestrictAddressFamilies=AF_UNIX",
    ]
    assert "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6" in networked


@pytest.mark.parametrize("url", ["", "postgresql:///c", "postgresql://a@/c?host=/run/postgresql"])
def test_backup_is_taken_by_a_unit_without_network_or_capability(url: str) -> None:
    lines = write_backup_unit(url)

    for line in (
        "Type=oneshot",
        "PrivateNetwork=yes",
        "CapabilityBoundingSet=",
        "RestrictAddressFamilies=AF_UNIX",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "MemoryDenyWriteExecute=yes",
        "UMask=0077",
        "SystemCallFilter=~@privileged @resources",
    ):
        assert line in lines


@pytest.mark.parametrize("template", [TEMPLATES[0], BACKUP_UNIT], ids=["service", "backup"])
def test_secrets_of_the_control_plane_are_credentials(template: Path) -> None:
    assert (
        "{% for name in __controlplane_secret_names %}\n"
        "LoadCredential={{ name }}:{{ __controlplane_secrets_directory }}/{{ name }}\n"
        "{% endfor %}\n"
    ) in template.read_text()


@every_unit
def test_unit_keeps_listening_sockets(template: Path) -> None:
    kept = [line for line in template.read_text().splitlines() if line.startswith("FileDescriptorStoreMax=")]

    assert len(kept) == 1
    assert int(kept[0].partition("=")[2]) >= 10


@pytest.mark.parametrize(
    "line",
    [
        "Type=oneshot",
        "User=madfleet-acme",
        "CapabilityBoundingSet=",
        "PrivateUsers=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ReadWritePaths={{ __tls_acme_state_directory }} {{ __tls_acme_target_directory }}",
        "MemoryDenyWriteExecute=yes",
        "UMask=0077",
        "SystemCallFilter=~@privileged @resources",
    ],
)
def test_unit_that_obtains_certificates_has_the_line(line: str) -> None:
    template = TEMPLATES[0].parents[2] / "tls_acme" / "templates" / "acme.service.j2"

    assert line in template.read_text().splitlines()
