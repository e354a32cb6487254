"""Databases and several hosts of one control plane that do not fit together get a sentence."""

from copy import deepcopy
from typing import Any

import pytest

from support.ansible_filters import load_filters

FILTERS = load_filters()
Inventory = dict[str, dict[str, Any]]

GROUPS = {"databases": ["db1", "db2"], "controlplanes": ["control", "control2"]}
DATABASE = {"postgresql_password": "p" * 32}
PLANE = {"controlplane_public_url": "https://control.example.org", "tls_certificate_mode": "file"}
GOOD: Inventory = {
    "db1": {"ansible_host": "192.0.2.41", **DATABASE},
    "db2": {"ansible_host": "192.0.2.42", "postgresql_role": "standby", **DATABASE},
    "control": {"ansible_host": "192.0.2.10", **PLANE},
    "control2": {"ansible_host": "2001:db8::11", **PLANE},
}


def find(hosts: Inventory, **groups: list[str]) -> list[str]:
    problems: list[str] = FILTERS["find_database_problems"](hosts, GROUPS | groups)
    return problems


def change(host: str, **variables: object) -> Inventory:
    hosts = deepcopy(GOOD)
    hosts[host] |= variables
    return hosts


def test_a_primary_a_standby_and_two_replicas_are_good() -> None:
    assert find(GOOD) == []


def test_one_control_plane_needs_no_database_and_any_certificate() -> None:
    assert find({"control": {}}, databases=[], controlplanes=["control"]) == []


def test_replicas_with_a_database_of_the_operator_are_good() -> None:
    url = {"controlplane_database_url": "postgresql://a:b@db.example.org/c"}
    hosts = {name: GOOD[name] | url for name in ("control", "control2")}

    assert find(hosts, databases=[]) == []


def test_host_that_is_reached_by_a_name_may_say_its_address() -> None:
    assert find(change("db1", ansible_host="db1.example.org", postgresql_address="192.0.2.41")) == []
    hosts = change("control", ansible_host="control.example.org")
    for name in GROUPS["databases"]:
        hosts[name]["postgresql_extra_clients"] = ["192.0.2.0/28", "2001:db8::/64"]
    assert find(hosts) == []


@pytest.mark.parametrize("length", [32, 256])
def test_password_may_be_as_long_as_this(length: int) -> None:
    hosts = deepcopy(GOOD)
    for name in GROUPS["databases"]:
        hosts[name]["postgresql_password"] = "p" * length

    assert find(hosts) == []


@pytest.mark.parametrize(
    ("host", "variable", "value", "sentence"),
    [
        ("control", "tls_certificate_mode", "self_signed", "Set tls_certificate_mode to file"),
        ("control2", "tls_certificate_mode", "acme", "Set tls_certificate_mode to file"),
        ("control2", "controlplane_public_url", "https://other.example.org", "Write the same for all."),
        ("control", "controlplane_database_url", "postgresql://a@b/c", "Write the same for all."),
        ("db2", "postgresql_role", "primary", "db1 and db2 would all take changes."),
        ("db1", "postgresql_role", "standby", "a standby of nothing"),
        ("db1", "postgresql_role", "main", "Write primary or standby."),
        ("db1", "postgresql_password", "p" * 31, "openssl rand -hex 32"),
        ("db1", "postgresql_password", "p" * 257, "openssl rand -hex 32"),
        ("db1", "postgresql_password", "p" * 32 + "/", "openssl rand -hex 32"),
        ("db1", "postgresql_password", "q" * 32, "Write it once, for the group."),
        ("db1", "ansible_host", "db1.example.org", "Write postgresql_address"),
        ("db1", "postgresql_address", "db1.example.org", "Write postgresql_address"),
        ("db1", "postgresql_extra_clients", ["192.0.2.10/24"], "neither an address nor a network"),
        ("db1", "postgresql_extra_clients", ["control.example.org"], "neither an address nor a network"),
        ("control", "ansible_host", "control.example.org", "into postgresql_extra_clients"),
    ],
)
def test_a_wrong_value_gets_the_remedy(host: str, variable: str, value: object, sentence: str) -> None:
    assert any(sentence in problem for problem in find(change(host, **{variable: value})))


def test_two_hosts_of_one_control_plane_need_a_database() -> None:
    hosts = {name: GOOD[name] for name in GROUPS["controlplanes"]}

    assert find(hosts, databases=[])[0] == (
        "control: The group controlplanes has 2 hosts, and those share a PostgreSQL database. Write its hosts"
        " into the group databases, or a controlplane_database_url."
    )


@pytest.mark.parametrize("url", ["https://192.0.2.10", "https://[2001:db8::10]:8443"])
def test_two_hosts_of_one_control_plane_need_a_name(url: str) -> None:
    hosts = deepcopy(GOOD)
    for name in GROUPS["controlplanes"]:
        hosts[name]["controlplane_public_url"] = url

    (problem,) = find(hosts)

    assert "Write a name whose addresses are those of all of them." in problem
