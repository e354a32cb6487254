"""Every command of the client, typed by an operator at a control plane that is served on loopback."""

import csv
import io
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from controlplane.admins.access import Role
from controlplane.cli.main import app
from nodelink.contract.enrolment import read_join_token
from nodelink.contract.frames import Answer
from nodelink.contract.ports import PortReport
from nodelink.contract.states import NodeKind
from support.client_site import ClientSite, open_client_site
from support.controlplane_node import open_node
from support.controlplane_site import PUBLIC_URL, add_group, add_node, add_token, make_report

NOT_FOR_JSON = {
    "enrol": "prints JSON anyway",
    "backup": "writes a file",
    "restore": "reads a file",
    "audit export": "writes a file",
    "metrics": "prints what Prometheus reads",
    "accounts export": "writes a file",
}

VALUES: tuple[list[str], ...] = ([], ["mail1"], ["30d"], ["2026-11-29"], ["9"], ["mail"], ["size"], ["done"])
"""Each option takes one of them; none for a switch."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ClientSite]:
    with open_client_site(tmp_path) as site:
        yield site


def list_commands(app: typer.Typer, name: str = "") -> Iterator[tuple[str, set[str]]]:
    """List every command with its options, groups that do something by themselves included."""
    root = typer.main.get_command(app)
    for path, command in walk(root, name):
        yield path, {option for parameter in command.params for option in parameter.opts}


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's own copy of click has no public types
    commands = getattr(command, "commands", None)
    if commands is None or (name and command.invoke_without_command):
        yield name, command
    for word, each in (commands or {}).items():
        yield from walk(each, f"{name} {word}".strip())


def list_groups() -> Iterator[tuple[str, str, str]]:
    """List groups that do something by themselves: an option of each, and a command behind it."""
    for path, group in walk(typer.main.get_command(app), ""):
        for parameter in group.params if hasattr(group, "commands") else ():
            yield path, parameter.opts[0], next(iter(group.commands))


def test_option_before_a_command_is_refused_and_not_forgotten(site: ClientSite) -> None:
    groups = list(list_groups())
    assert len(groups) > 20
    for group, option, command in groups:
        tries = (site.call(*group.split(), option, *value, command) for value in VALUES)
        sentence = f"write it behind the command: madfleet {group} {command} … {option}"
        assert any(ended.code == 2 and sentence in " ".join(ended.error.split()) for ended in tries), option


def test_every_command_prints_json_on_demand() -> None:
    commands = dict(list_commands(app))

    for name, options in commands.items():
        assert ("--json" in options) is (name not in NOT_FOR_JSON), name
    assert len(commands) > 30


def test_status_shows_fleet_policy_and_nodes(site: ClientSite) -> None:
    add_node(site.plane, "mail1")

    text = site.run("status")
    status = site.read("status")

    assert re.search(r"Address: +https://control\.example\.org:8443", text)
    assert re.search(r"Registration: +open", text)
    assert re.search(r"Nodes: +1 never seen", text)
    assert (status["url"], status["turn"], status["nodes"]["never seen"]) == (PUBLIC_URL, None, 1)
    assert status["nodes"]["ok"] == 0


@pytest.mark.parametrize("count", [0, 2, 3, 4, 7])
def test_nodes_are_listed_over_many_pages(
    site: ClientSite, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr("controlplane.client.api.PAGE_ITEMS", 3)
    names = [f"mail{number}" for number in range(count)]
    for name in names:
        add_node(site.plane, name)
    add_node(site.plane, "turn1", NodeKind.TURN)

    assert [node["name"] for node in site.read("nodes", "--kind", "mail")] == names
    assert len(site.run("nodes").splitlines()) == len(names) + 2


def test_empty_fleet_says_what_to_do(site: ClientSite) -> None:
    assert "madfleet join-token" in site.run("nodes")
    assert "madfleet groups create" in site.run("groups")
    assert "madfleet registration-tokens create" in site.run("registration-tokens")


def test_node_is_shown_as_it_reports_without_what_a_terminal_obeys(site: ClientSite) -> None:
    key = add_node(site.plane, "mail1")
    with site.keep(lambda: open_node(site.port, "mail1", key, site.plane.keys.trusted)) as node:
        site.portal.call(node.greet)
        site.portal.call(node.hear_state)
        site.portal.call(node.report, make_report(public_name="\x1b[31mred", problems=("Full.",)))
        while not site.read("nodes")[0]["report"]:
            continue
        table = site.run("nodes")
        shown = site.run("nodes", "show", "mail1")

    assert re.search(r"mail1 +mail +problem +1/[12] +\d s +0\.1\.0 +- +\?\[31mred", table)
    assert re.search(r"Problems: +Full\.", shown)
    assert re.search(r"accounts +3\n", shown)
    assert "\x1b" not in table + shown + site.run("nodes", "--json")


def test_node_is_asked_how_it_is(site: ClientSite) -> None:
    key = add_node(site.plane, "mail1")

    async def answer() -> None:
        query = await node.hear_query()
        await node.say(Answer(id=query.id, result={"uptime_seconds": 5}))

    with site.keep(lambda: open_node(site.port, "mail1", key, site.plane.keys.trusted)) as node:
        site.portal.call(node.greet)
        site.portal.call(node.hear_state)
        asked = site.portal.start_task_soon(answer)
        assert site.read("nodes", "ask", "mail1") == {"uptime_seconds": 5}
        asked.result(timeout=10)

    ended = site.call("nodes", "ask", "mail1")
    assert (ended.code, ended.output) == (1, "")
    assert "not connected" in ended.error


def test_node_is_changed_and_retired(site: ClientSite) -> None:
    add_node(site.plane, "mail1")
    add_group(site.plane, "eu")

    assert "Berlin" in site.run("nodes", "label", "mail1", "Berlin")
    assert "weight 50" in site.run("weight", "mail1", "50")
    assert site.read("nodes", "weight", "mail1", "60")["weight"] == 60
    assert "nothing new" in site.run("drain", "mail1")
    assert "group eu" in site.run("nodes", "group", "mail1", "eu")
    node = site.read("nodes", "show", "mail1")
    assert (node["label"], node["weight"], node["is_draining"], node["group"]) == ("Berlin", 60, True, "eu")
    assert re.search(r"never seen, draining", site.run("nodes", "--group", "eu"))
    assert site.read("drain", "mail1", "--end")["is_draining"] is False
    assert "no group" in site.run("nodes", "group", "mail1")
    assert site.run("nodes", "--group", "eu") == "No such node.\n"
    assert "retired" in site.run("retire", "mail1")
    assert site.read("nodes") == []


def test_ports_are_shown_moved_and_moved_back(site: ClientSite) -> None:
    key = add_node(site.plane, "turn1", NodeKind.TURN)
    ended = site.call("ports", "set", "turn1", "turn", "443")
    assert (ended.code, "has not said which ports are open" in ended.error) == (1, True)
    port = PortReport(name="turn", configured=3478, effective=3478, problem=None)
    report = make_report(NodeKind.TURN, ports=[port], alternate_ports=[443, 53])
    with site.keep(lambda: open_node(site.port, "turn1", key, site.plane.keys.trusted)) as node:
        site.portal.call(node.greet)
        site.portal.call(node.hear_state)
        site.portal.call(node.report, report)
        while not site.read("nodes")[0]["report"]:
            continue

        assert "moves to 443" in site.run("ports", "set", "turn1", "turn", "443")
        shown = site.run("ports", "show", "turn1")
        assert re.search(r"turn +3478 +443 +3478 +-\n", shown)
        assert "Open besides, by turnnode_alternate_ports: 443, 53" in shown
        ended = site.call("ports", "set", "turn1", "turn", "54")
        assert (ended.code, "Add it to turnnode_alternate_ports" in ended.error) == (1, True)
        assert "moved back" in site.run("ports", "reset", "turn1", "turn")
        assert site.read("ports", "show", "turn1")["ports"][0]["wanted"] is None


def test_groups_are_made_labelled_and_removed(site: ClientSite) -> None:
    assert "nodes group NODE eu" in site.run("groups", "create", "eu", "--label", "Europe")
    assert site.read("groups", "create", "us")["nodes"] == 0
    assert re.search(r"eu +Europe +0", site.run("groups"))
    assert "Elsewhere" in site.run("groups", "label", "us", "Elsewhere")
    assert site.read("groups", "show", "us") == {"name": "us", "label": "Elsewhere", "nodes": 0}
    assert re.search(r"Label: +Elsewhere", site.run("groups", "show", "us"))
    assert "removed" in site.run("groups", "delete", "us")
    assert [group["name"] for group in site.read("groups")] == ["eu"]


def test_join_token_is_all_of_standard_output(site: ClientSite) -> None:
    ended = site.call("join-token", "turn1", "--kind", "turn", "--valid-for", "1")
    assert read_join_token(ended.output).url == PUBLIC_URL
    assert "turnnode join" in ended.error
    assert site.read("join-token", "turn2", "--kind", "turn")["name"] == "turn2"


def test_policy_is_changed_for_fleet_group_and_node(site: ClientSite) -> None:
    add_node(site.plane, "mail1")
    add_group(site.plane, "eu", "mail1")

    assert "closed on every node" in site.run("registration", "close")
    assert "off on every node" in site.run("jit", "off")
    assert "500M on every node" in site.run("quota", "500M")
    assert "by token on nodes of group eu" in site.run("registration", "open", "--by-token", "--group", "eu")
    assert "by token on node mail1" in site.run("registration", "status", "--node", "mail1")
    assert site.read("quota", "2G", "--node", "mail1")["in_force"]["quota_bytes"] == 2 << 30
    assert "on on node mail1" in site.run("jit", "on", "--node", "mail1")
    assert site.read("jit", "fleet", "--node", "mail1")["overrides"]["jit_enabled"] is None
    assert "on, but apps add no accounts by themselves on node mail1" in site.run(
        *("jit", "on", "--no-apps", "--node", "mail1")
    )
    assert site.read("jit", "fleet", "--node", "mail1")["in_force"]["app_accounts_enabled"] is True
    assert site.read("registration", "status", "--backup-addresses", "2")["backup_addresses"] == 2
    assert site.call("registration", "status", "--backup-addresses", "5").code == 2
    assert "500M on node mail1" in site.run("quota", "fleet", "--node", "mail1")
    assert "closed on nodes of group eu" in site.run("registration", "fleet", "--group", "eu")
    assert site.read("jit", "status")["jit_enabled"] is False
    assert site.read("status")["quota_bytes"] == 500 << 20


def test_policy_is_shown_and_set_by_name(site: ClientSite) -> None:
    add_node(site.plane, "mail1")

    table = site.run("policy", "set", "message_bytes=10M", "turn_lifetime_seconds=2d", "jit_enabled=off")
    assert re.search(r"message_bytes +10M", table)
    assert re.search(r"turn_lifetime_seconds +2d", table)
    assert re.search(r"jit_enabled +off", site.run("policy"))
    changed = site.read("policy", "set", "message_bytes=5M", "--node", "mail1")
    assert changed["overrides"]["message_bytes"] == 5 << 20
    assert re.search(r"message_bytes +5M +5M", site.run("policy", "--node", "mail1"))
    assert re.search(
        r"message_bytes +10M +-", site.run("policy", "set", "message_bytes=fleet", "--node", "mail1")
    )
    assert site.read("policy")["message_bytes"] == 10 << 20


def test_registration_tokens_are_made_changed_and_removed(site: ClientSite) -> None:
    shown = site.run(
        "registration-tokens", "create", "--uses", "3", "--comment", "Choir", "--valid-for", "30d"
    )
    assert re.search(r"Address: +https://control\.example\.org:8443/join\?token=", shown)
    made = site.read("registration-tokens", "create", "--text", "welcome-2026")
    assert (made["token"], made["max_uses"], made["expires_at_seconds"]) == ("welcome-2026", 1, None)
    changed = site.read("registration-tokens", "change", made["id"], "--uses", "9", "--valid-for", "1h")
    assert (changed["max_uses"], changed["comment"]) == (9, "")
    assert changed["expires_at_seconds"] is not None
    assert re.search(r"welcome-2026 +fleet +0/9 +active", site.run("registration-tokens"))
    assert re.search(r"Token: +welcome-2026", site.run("registration-tokens", "show", made["id"]))
    assert "removed" in site.run("registration-tokens", "delete", made["id"])
    assert [token["comment"] for token in site.read("registration-tokens")] == ["Choir"]
    add_node(site.plane, "mail1")
    of_node = site.read("registration-tokens", "create", "--node", "mail1")
    assert site.read("registration-tokens", "--node", "mail1") == [of_node]
    assert re.search(rf"{of_node['token']} +mail1 +0/1", site.run("registration-tokens"))


def test_webhooks_are_made_tried_changed_and_removed(site: ClientSite) -> None:
    assert "madfleet webhooks create" in site.run("webhooks")
    url = "https://example.org/hook"
    shown = site.run("webhooks", "create", url, "--event", "node.down", "--comment", "Choir")
    assert re.search(r"Secret: +whsec_", shown)
    (hook,) = site.read("webhooks")
    assert (hook["events"], hook["comment"], hook["burst_accounts"]) == (["node.down"], "Choir", 100)
    changed = site.read("webhooks", "change", hook["id"], "--burst", "7", "--disable")
    assert (changed["burst_accounts"], changed["is_enabled"]) == (7, False)
    assert re.search(r"node\.down +no +Choir", site.run("webhooks"))
    assert "whsec_" not in site.run("webhooks", "show", hook["id"])
    message = site.read("webhooks", "test", hook["id"])["id"]
    assert re.search(rf"{message} +test +waiting +0", site.run("webhooks", "deliveries", hook["id"]))
    assert "removed" in site.run("webhooks", "delete", hook["id"])
    assert site.read("webhooks") == []


def test_admin_tokens_are_made_used_and_revoked(site: ClientSite) -> None:
    add_group(site.plane, "eu")
    ended = site.call(
        "admin-tokens", "create", "bob", "--role", "operator", "--group", "eu", "--valid-for", "90d"
    )
    token = ended.output.strip()
    assert "operator of the group eu" in ended.error
    caller = site.read("--token", token, "whoami")
    assert (caller["name"], caller["scope_name"]) == ("bob", "eu")
    made = site.read("admin-tokens", "create", "carol")
    assert (made["role"], made["scope_kind"]) == ("viewer", "fleet")
    assert re.search(r"carol +viewer +the fleet +active", site.run("admin-tokens"))
    assert re.search(r"Name: +carol", site.run("admin-tokens", "show", made["id"]))
    assert "revoked" in site.run("admin-tokens", "revoke", made["id"])
    assert "Sign in" in site.call("--token", made["token"], "status").error
    assert {each["name"]: each["state"] for each in site.read("admin-tokens")}["carol"] == "revoked"


def test_audit_log_is_listed_filtered_and_exported(site: ClientSite, tmp_path: Path) -> None:
    site.run("quota", "2G")
    site.run("groups", "create", "eu", "--label", "Ευρώπη")
    add_node(site.plane, "mail1")

    assert re.search(r"quota_bytes 1073741824 → 2147483648", site.run("audit"))
    assert [entry["target"] for entry in site.read("audit", "--action", "group.create")] == ["eu"]
    assert len(site.read("audit", "--entries", "2")) == 2
    assert site.read("audit", "--since", "1h", "--target", "nowhere") == []
    assert "Nothing" in site.run("audit", "--admin", "nobody")
    file = tmp_path / "audit.jsonl"
    assert "audit.jsonl" in site.call("audit", "export", str(file)).error
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [line["id"] for line in lines] == [entry["id"] for entry in site.read("audit")]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = list(csv.DictReader(io.StringIO(site.run("audit", "export", "-", "--format", "csv"))))
    assert len(rows) == len(lines)


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        (("retire", "mail9"), 1, "List the nodes"),
        (("nodes", "show", "Mail 1"), 2, "DNS label"),
        (("registration", "open", "--node", "mail9"), 1, "List the nodes"),
        (("registration", "open", "--node", "mail1", "--group", "eu"), 2, "Leave out"),
        (("registration", "perhaps"), 2, "'open', 'close'"),
        (("registration", "fleet"), 2, "--node"),
        (("quota", "much"), 2, "500M"),
        (("quota", "1023K"), 2, "1M"),
        (("quota", "1025T"), 2, "1M"),
        (("join-token", "mail1", "--kind", "mail", "--valid-for", "721"), 2, "720"),
        (("weight", "mail1", "10001"), 2, "10000"),
        (("policy", "set", "colour=blue"), 2, "2G"),
        (("policy", "set", "colour"), 2, "NAME=VALUE"),
        (("policy", "set", "colour=1"), 1, "colour"),
        (("policy", "set", "turn_announced_port=443"), 1, "turnnode_other_udp_ports"),
        (("policy", "set", "quota_bytes=1K"), 1, "quota_bytes: Input should be greater"),
        (("registration-tokens", "change", "x"), 2, "--uses"),
        (("webhooks", "change", "x"), 2, "--url"),
        (("registration-tokens", "show", ".."), 2, "list"),
        (("registration-tokens", "create", "--valid-for", "soon"), 2, "30d"),
        (("admin-tokens", "create", "bob", "--valid-for", "90m"), 2, "whole hours"),
        (("admin-tokens", "create", "bob", "--node", "a", "--group", "b"), 2, "Leave out"),
        (("admin-tokens", "create", "bob", "--role", "owner", "--group", "b"), 1, "make it an operator"),
        (("audit", "--action", "nothing"), 1, "node.retire"),
        (("audit", "export", "/nowhere/x"), 2, "/nowhere/x"),
        (("nowhere",), 2, "nowhere"),
    ],
)
def test_refused_command_names_the_remedy(
    site: ClientSite, arguments: tuple[str, ...], code: int, remedy: str
) -> None:
    ended = site.call(*arguments)

    assert (ended.code, ended.output) == (code, "")
    assert remedy in ended.error


def test_viewer_may_look_and_not_change(site: ClientSite) -> None:
    viewer = add_token(site.plane, Role.VIEWER, "victor")

    assert site.read("--token", viewer, "nodes") == []
    ended = site.call("--token", viewer, "jit", "off")
    assert (ended.code, ended.output) == (1, "")
    assert ended.error.count("\n") == 1


def test_federation_is_steered_by_commands(site: ClientSite) -> None:
    add_node(site.plane, "mail1")
    add_group(site.plane, "eu", "mail1")

    assert "is off" in site.run("federation", "switch", "off")
    assert "is on" in site.run("federation", "switch", "on", "--node", "mail1")
    site.run("federation", "switch", "fleet", "--node", "mail1")
    assert "mode is reject" in site.run("federation", "mode", "reject", "--group", "eu")
    assert "https, http" in site.run("federation", "transports", "https", "http")
    site.run("federation", "rule", "add", "Bad.Example", "--transport", "smtp")
    site.run("federation", "rule", "add", "bad.example")
    site.run("federation", "rule", "remove", "bad.example", "--transport", "smtp")
    site.run("federation", "dismiss", "void.example")
    site.run(
        "federation",
        "endpoint",
        "set",
        "far.example",
        "https://192.0.2.7:8443/mxdeliv",
        "--comment",
        "tunnel",
    )
    assert "dropped" in site.run("federation", "unknown-recipients", "drop")

    holds = site.read("federation", "--node", "mail1")["in_force"]
    assert (holds["is_enabled"], holds["mode"], holds["transports"]) == (False, "reject", ["https", "http"])
    assert [(rule["domain"], rule["transport"]) for rule in holds["rules"]] == [("bad.example", None)]
    assert (holds["dismissed"], holds["endpoints"][0]["comment"]) == (["void.example"], "tunnel")
    text = site.run("federation")
    assert re.search(r"Rules: +bad\.example \(all\)", text)
    assert re.search(r"Endpoints: +far\.example -> https://192", text)

    site.run("federation", "dismiss", "void.example", "--undo")
    site.run("federation", "endpoint", "remove", "far.example")
    holds = site.read("federation")["in_force"]
    assert (holds["dismissed"], holds["endpoints"]) == ([], [])
    assert "no such rule" in site.call("federation", "rule", "remove", "bad.example", "--node", "mail1").error
    assert "No endpoint" in site.call("federation", "endpoint", "remove", "far.example").error
    assert "not both" in site.call("federation", "--node", "mail1", "--group", "eu").error
    assert "told of no key" in site.run("federation", "keys", "mail1")
    assert "mail1" in site.call("federation", "servers").error


def test_exchangers_are_named_shown_changed_and_removed(site: ClientSite) -> None:
    assert "madfleet exchangers add" in site.run("exchangers")
    assert "every 300 s" in site.run(
        "exchangers", "add", "relay", "https://relay.example.org", "--every", "5m"
    )
    assert re.search(r"relay +https://relay\.example\.org +yes +300 +no", site.run("exchangers"))
    assert re.search(r"EVERY \(S\): +300\n", site.run("exchangers", "show", "relay"))
    assert site.read("exchangers", "change", "relay", "--disable")["is_enabled"] is False
    assert site.read("exchangers", "show", "relay")["is_enabled"] is False
    assert "polled no more" in site.run("exchangers", "remove", "relay")
    assert site.call("exchangers", "show", "relay").code == 1


def test_settings_are_listed_set_and_reset(site: ClientSite) -> None:
    add_node(site.plane, "mail1")

    assert "mailnode_public_host" in site.run("settings")
    assert "is set on every node" in site.run("settings", "set", "max_message_size", "40M")
    assert site.read("settings", "set", "max_message_size", "50M", "--node", "mail1")["value"] == "50M"
    (shown,) = [each for each in site.read("settings") if each["name"] == "max_message_size"]
    assert (shown["value"], shown["in_force"]) == ("40M", "40M")
    assert site.read("settings", "reset", "max_message_size", "--node", "mail1")["in_force"] == "40M"
    assert "set by Ansible: mailnode_public_host" in site.call("settings", "set", "smtp_hostname", "x").error


def test_services_are_listed_and_switched(site: ClientSite) -> None:
    assert "not offered" in site.run("services")
    assert site.run("services", "disable", "turn").startswith("turn is off on every node")
    (turn,) = [each for each in site.read("services") if each["name"] == "turn"]
    assert turn["is_enabled"] is False
    assert site.read("services", "enable", "turn")["is_enabled"] is True
    assert "not offered" in site.call("services", "enable", "iroh").error
