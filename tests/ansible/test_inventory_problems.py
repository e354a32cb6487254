"""A wrong inventory gets a sentence that says what is wrong and what to write."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.ansible_filters import load_filters

ROOT = Path(__file__).parents[2]
FILTERS = load_filters()
ROLES = [
    "controlplane",
    "exchanger",
    "host_firewall",
    "host_setup",
    "mailnode",
    "node_enrolment",
    "postgresql",
    "tls_acme",
    "tls_certificate",
    "turnnode",
]
OPTIONS = FILTERS["read_role_options"](ROLES, str(ROOT / "ansible" / "roles"))

Inventory = dict[str, dict[str, Any]]

GROUPS: dict[str, list[str]] = {
    "databases": [],
    "controlplanes": ["control"],
    "mail_nodes": ["mail1"],
    "turn_nodes": ["turn1"],
    "exchangers": [],
}
GOOD: Inventory = {
    "control": {"controlplane_public_url": "https://192.0.2.10"},
    "mail1": {"mailnode_mail_domain": "[192.0.2.21]", "mailnode_support_contact": "mailto:a@example.org"},
    "turn1": {"turnnode_listen_addresses": ["192.0.2.31"], "turnnode_public_name": "192.0.2.31"},
}


def find(hosts: Inventory, groups: dict[str, list[str]] = GROUPS) -> list[str]:
    problems: list[str] = FILTERS["find_inventory_problems"](hosts, groups, OPTIONS)
    return problems


def change(host: str, **variables: object) -> Inventory:
    hosts = deepcopy(GOOD)
    hosts[host] |= variables
    return hosts


def test_a_good_inventory_has_no_problem() -> None:
    assert find(GOOD) == []


def test_alternate_ports_are_no_problem_up_to_their_limits() -> None:
    assert find(change("mail1", mailnode_alternate_ports=[1, 65535, *range(8000, 8062)])) == []
    assert find(change("mail1", mailnode_alternate_ports=[8993])) == []
    assert find(change("turn1", turnnode_alternate_ports=[53, 443, 49151])) == []
    assert find(change("turn1", turnnode_alternate_ports=[60000], turnnode_relay_port_max=59999)) == []


@pytest.mark.parametrize(("first", "problems"), [(36_863, 1), (36_864, 0), (36_865, 0)])
def test_calls_leave_the_host_ports_of_its_own(first: int, problems: int) -> None:
    found = find(change("turn1", turnnode_relay_port_min=first))

    assert len(found) == problems
    assert all("net.ipv4.ip_local_port_range" in problem for problem in found)


def test_a_host_whose_own_ports_are_elsewhere_may_relay_from_any() -> None:
    own = {"net.ipv4.ip_local_port_range": "2048 9999"}

    assert find(change("turn1", turnnode_relay_port_min=10_000, host_setup_kernel_parameters=own)) == []


class AnsibleNumber(int):
    """A number as ansible-core hands it to filters: with where it was written, and of a type below `int`."""


def test_ports_as_ansible_reads_them_are_numbers() -> None:
    assert find(change("mail1", mailnode_alternate_ports=[AnsibleNumber(8993)])) == []


def test_an_alternate_port_on_which_turn_listens_anyhow_is_a_problem() -> None:
    (problem,) = find(
        change("turn1", turnnode_other_udp_ports=[53, 443], turnnode_alternate_ports=[443, 8443])
    )

    assert "has 443, which is in turnnode_other_udp_ports" in problem


@pytest.mark.parametrize(
    ("host", "variable", "value", "sentence"),
    [
        ("mail1", "mailnode_mial_domain", "x.example.org", "Did you mean mailnode_mail_domain?"),
        ("control", "controlplane_public_url", "http://192.0.2.10", "Write how nodes reach it"),
        ("control", "controlplane_public_url", "https://192.0.2.10:8443", "Write the same port in both"),
        ("control", "controlplane_port", 8443, "Write the same port in both"),
        ("mail1", "ansible_port", 2222, "Write host_firewall_ssh_port: 2222."),
        ("mail1", "mailnode_mail_domain", "", "Write what follows the @"),
        ("mail1", "mailnode_mail_domain", "192.0.2.21", "'[192.0.2.21]'"),
        ("mail1", "mailnode_mail_domain", "[192.0.2.999]", "which is no address"),
        ("mail1", "mailnode_mail_domain", "chat.example.org", "Set tls_certificate_mode to acme or file"),
        ("mail1", "mailnode_support_contact", None, "Write where users find help"),
        ("mail1", "tls_certificate_mode", "file", "Write where the file lies"),
        ("mail1", "mailnode_alternate_ports", 8993, "as a list of numbers"),
        ("mail1", "mailnode_alternate_ports", ["8993"], "as a list of numbers"),
        ("mail1", "mailnode_alternate_ports", [True], "as a list of numbers"),
        ("mail1", "mailnode_alternate_ports", [0], "as a list of numbers"),
        ("mail1", "mailnode_alternate_ports", [65536], "as a list of numbers"),
        ("mail1", "mailnode_alternate_ports", [*range(8000, 8065)], "Write at most 64."),
        ("mail1", "mailnode_alternate_ports", [8993, 8993], "Write each once."),
        ("mail1", "mailnode_alternate_ports", [22], "which is host_firewall_ssh_port."),
        ("mail1", "mailnode_alternate_ports", [993], "which is mailnode_imap_tls_port."),
        ("turn1", "turnnode_alternate_ports", [3478], "which is turnnode_port."),
        ("mail1", "mailnode_alternate_ports", [25], "which is mailnode_inbound_smtp_port."),
        ("turn1", "turnnode_alternate_ports", [49152], "Write one outside 49152 to 65535."),
        ("turn1", "turnnode_alternate_ports", [65535], "Write one outside 49152 to 65535."),
        ("turn1", "turnnode_listen_addresses", ["::"], "no address of a host"),
        ("turn1", "turnnode_listen_addresses", "192.0.2.31", "as a list"),
        ("turn1", "turnnode_public_name", "2001:db8::31", "apps do not take an IPv6 address"),
        ("turn1", "turnnode_announced_port", 443, "or add it to turnnode_other_udp_ports"),
        ("turn1", "turnnode_other_udp_ports", [3478], "listens on port 3478 twice by UDP"),
        ("turn1", "turnnode_tls_ports", [3478], "listens on port 3478 twice by TCP and TLS"),
        ("turn1", "turnnode_published_addresses", ["198.51.100.31", "198.51.100.32"], "one address for each"),
    ],
)
def test_a_wrong_value_is_named_with_its_host_and_the_remedy(
    host: str, variable: str, value: object, sentence: str
) -> None:
    problems = find(change(host, **{variable: value}))

    assert len(problems) > 0
    assert problems[0].startswith(f"{host}: ")
    assert sentence in problems[0]


@pytest.mark.parametrize("domain", ["_chat.example.org", "[IPv6:2001:db8::21]"])
def test_a_self_signed_certificate_is_good_where_apps_take_it(domain: str) -> None:
    assert find(change("mail1", mailnode_mail_domain=domain)) == []


def test_turn_node_with_tls_gets_no_certificate_by_acme() -> None:
    tls = change("turn1", turnnode_tls_ports=[5349, 443], tls_certificate_mode="self_signed")

    assert find(tls) == []
    assert "a TURN node gets no certificate by ACME" in find(with_acme("turn1", turnnode_tls_ports=[443]))[0]


def with_acme(host: str, **variables: object) -> Inventory:
    return change(host, tls_certificate_mode="acme", **variables)


@pytest.mark.parametrize(
    ("host", "variables"),
    [
        ("control", {"controlplane_public_url": "https://control.example.org"}),
        ("control", {"controlplane_public_url": "https://[2606:4700::1]"}),
        ("mail1", {"mailnode_mail_domain": "chat.example.org"}),
        ("mail1", {"mailnode_mail_domain": "[9.9.9.9]", "tls_acme_email": "admin@example.org"}),
        ("mail1", {"mailnode_mail_domain": "[IPv6:2606:4700::1]", "tls_acme_email": ""}),
        ("mail1", {"mailnode_mail_domain": "[192.0.2.21]", "mailnode_public_host": "chat.example.org"}),
        ("mail1", {"mailnode_mail_domain": "mail1.test", "tls_acme_directory_url": "https://ca.test/dir"}),
        ("mail1", {"tls_acme_directory_url": "https://192.0.2.53:14000/dir"}),
    ],
)
def test_what_an_authority_can_look_at_is_good(host: str, variables: dict[str, object]) -> None:
    assert find(with_acme(host, **variables)) == []


@pytest.mark.parametrize(
    ("host", "variables", "sentence"),
    [
        ("mail1", {"mailnode_mail_domain": "_chat.example.org"}, "begins with an underscore"),
        ("control", {"controlplane_public_url": "https://_control.test"}, "begins with an underscore"),
        ("mail1", {"mailnode_mail_domain": "[192.168.0.21]"}, "which is not on the Internet"),
        ("mail1", {"mailnode_mail_domain": "[IPv6:fd00::21]"}, "which is not on the Internet"),
        ("mail1", {"mailnode_mail_domain": "mail1.test"}, "which is not on the Internet"),
        ("control", {"controlplane_public_url": "https://control"}, "which is not on the Internet"),
        ("mail1", {"tls_acme_email": "admin"}, "Write an e-mail address"),
        ("mail1", {"tls_acme_email": "a@b@example.org"}, "Write an e-mail address"),
        ("mail1", {"tls_acme_email": "admin@example"}, "Write an e-mail address"),
        ("mail1", {"tls_acme_directory_url": "http://ca.test/dir"}, "begins with https://"),
        ("mail1", {"tls_acme_directory_url": ""}, "begins with https://"),
        ("mail1", {"mailnode_http_port": 0}, "Write mailnode_http_port: 80."),
        ("control", {"controlplane_http_port": "0"}, "Write controlplane_http_port: 80."),
    ],
)
def test_what_an_authority_would_refuse_is_told_before_it_is_asked(
    host: str, variables: dict[str, object], sentence: str
) -> None:
    problems = find(with_acme(host, **variables))

    assert len(problems) > 0
    assert problems[0].startswith(f"{host}: ")
    assert sentence in problems[0]


def test_a_fleet_has_a_control_plane() -> None:
    problems = find({"mail1": GOOD["mail1"]}, {**GROUPS, "controlplanes": [], "turn_nodes": []})

    assert problems[0].startswith("The group controlplanes has no host. Write one there")


def test_nodes_with_join_tokens_need_no_control_plane_of_their_own() -> None:
    token = {"node_enrolment_join_token": "madfleet-join-x"}
    hosts = {"mail1": GOOD["mail1"] | token, "turn1": GOOD["turn1"] | token}
    groups = {**GROUPS, "controlplanes": []}

    assert find(hosts, groups) == []
    assert (
        "or give each node a node_enrolment_join_token" in find({**hosts, "turn1": GOOD["turn1"]}, groups)[0]
    )


def test_a_host_has_one_kind() -> None:
    hosts = {**GOOD, "mail1": GOOD["mail1"] | GOOD["turn1"]}

    problems = find(hosts, {**GROUPS, "turn_nodes": ["mail1"]})

    assert problems == ["mail1 is in mail_nodes and turn_nodes; a host has one kind. Keep it in one of them."]


def test_two_nodes_do_not_share_a_domain() -> None:
    hosts = {**GOOD, "mail2": GOOD["mail1"]}

    problems = find(hosts, {**GROUPS, "mail_nodes": ["mail1", "mail2"]})

    assert problems == ["mail2 and mail1 both have the mail domain [192.0.2.21]. Give each node its own."]


def test_a_host_name_that_is_no_node_name_is_refused() -> None:
    hosts = {"control": GOOD["control"], "chat.example.org": GOOD["mail1"]}

    problems = find(hosts, {**GROUPS, "mail_nodes": ["chat.example.org"], "turn_nodes": []})

    assert problems[0].startswith("chat.example.org cannot be the name of a node.")


@pytest.mark.parametrize("name", ["example", "lab"])
def test_inventories_of_the_repository_are_good(name: str) -> None:
    tree = yaml.safe_load((ROOT / "inventories" / name / "fleet.yml").read_text())
    hosts: Inventory = {}
    groups: dict[str, list[str]] = {}
    collect(tree["all"], {}, hosts, groups)

    assert find(hosts, {kind: groups.get(kind, []) for kind in GROUPS}) == []


def collect(
    node: dict[str, Any], inherited: dict[str, Any], hosts: Inventory, groups: dict[str, list[str]]
) -> None:
    """Flatten an inventory as Ansible does: a group's variables hold for its hosts."""
    own = inherited | (node.get("vars") or {})
    for host, variables in (node.get("hosts") or {}).items():
        hosts[host] = own | (variables or {})
    for group, child in (node.get("children") or {}).items():
        groups[group] = list(child.get("hosts") or {})
        collect(child, own, hosts, groups)
