"""Commands about accounts, typed at a real control plane that a real mail node follows, as processes."""

import json
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controlplane.nodes.enrolment import NewNode, enrol_node
from controlplane.nodes.invitation import describe_enrolment
from controlplane.plane import open_plane
from controlplane.settings import ControlPlaneSettings
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.states import NodeKind
from nodelink.daemon.settings import read_settings
from support.client_site import Ended, call
from support.clocks import wait_until
from support.controlplane_process import install
from support.controlplane_site import AUTHOR, add_node, add_token
from support.mailnode_process import running_node

DOMAIN = "mail1.example.org"
FOLLOWS_SECONDS = 30
HASH = "$6$saltsalt$" + "a" * 86


@dataclass(frozen=True)
class Fleet:
    """A control plane with a mail node that follows it, and one that never came."""

    environment: dict[str, str]

    def call(self, *arguments: str, typed: str = "") -> Ended:
        return call(*arguments, environment=self.environment, typed=typed)

    def run(self, *arguments: str, typed: str = "") -> str:
        ended = self.call(*arguments, typed=typed)
        assert ended.code == 0, ended
        return ended.output

    def read(self, *arguments: str, typed: str = "") -> Any:  # noqa: ANN401 - JSON of each command's own shape
        return json.loads(self.run(*arguments, "--json", typed=typed))

    def make(self, name: str) -> str:
        """Make an account; return its address."""
        address = f"{name}@{DOMAIN}"
        self.run("accounts", "create", address)
        return address


@contextmanager
def open_fleet(directory: Path) -> Iterator[Fleet]:
    installation = install(directory)
    node = directory / "node"
    (node / "state").mkdir(mode=0o700, parents=True)
    files = NodeFiles(node / "state" / "node")
    mail1 = NewNode("mail1", NodeKind.MAIL, files.load_identity().public.x, key_is_replaced=False)
    with open_plane(read_settings(ControlPlaneSettings, installation.settings)) as plane:
        token = add_token(plane)
        with plane.sessions.begin() as session:
            row = enrol_node(session, plane.facts, mail1, AUTHOR)
            files.keep_enrolment(describe_enrolment(plane, row))
        add_node(plane, "mail2")
    environment = {
        "HOME": str(directory),
        "MADFLEET_URL": installation.url,
        "MADFLEET_TOKEN": token,
        "MADFLEET_CA": str(directory / "tls.crt"),
    }
    fleet = Fleet(environment)
    with installation.start(directory / "log"), running_node(node, MAIL_DOMAIN=DOMAIN):
        wait_until(
            lambda: bool(fleet.read("nodes", "show", "mail1")["report"]), within_seconds=FOLLOWS_SECONDS
        )
        yield fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with open_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


def test_account_is_made_shown_and_deleted(fleet: Fleet) -> None:
    created = fleet.call("accounts", "create", f"made@{DOMAIN}")
    assert created.code == 0, created
    sentence, password = created.output.splitlines()
    assert re.fullmatch(r"Password: \S{20,}", password)
    assert sentence == f"Account made@{DOMAIN} is made on node mail1."

    assert re.search(
        rf"Address: +made@{DOMAIN}\nNode: +mail1", fleet.run("accounts", "show", f"made@{DOMAIN}")
    )
    shown = fleet.read("accounts", "show", f"made@{DOMAIN}", "--node", "mail1")
    assert (shown["node_name"], shown["is_blocked"], shown["has_own_quota"]) == ("mail1", False, False)

    assert "deleted" in fleet.run("accounts", "delete", f"made@{DOMAIN}", "--yes")
    gone = fleet.call("accounts", "show", f"made@{DOMAIN}")
    assert (gone.code, gone.output) == (2, "")
    assert "mail2 did not" in gone.error


def test_password_may_be_given(fleet: Fleet) -> None:
    made = fleet.read(
        "accounts", "create", f"given@{DOMAIN}", "--password-stdin", typed="correct horse battery\n"
    )
    assert (made["state"], "password" in made) == ("done", False)
    assert "password" in fleet.read("accounts", "create", f"other@{DOMAIN}")
    assert fleet.call("accounts", "create", f"none@{DOMAIN}", "--password-stdin").code == 2


def test_accounts_are_listed_and_missing_nodes_named(fleet: Fleet) -> None:
    for name in ("list-b", "list-a"):
        fleet.make(name)

    listed = fleet.call("accounts", "--search", "list-")
    assert [line.split()[0] for line in listed.output.splitlines()[1:]] == [
        f"list-a@{DOMAIN}",
        f"list-b@{DOMAIN}",
    ]
    assert "mail2" in listed.error
    found = fleet.read("accounts", "--search", "list-", "--descending", "--node", "mail1")
    assert [item["address"] for item in found["items"]] == [f"list-b@{DOMAIN}", f"list-a@{DOMAIN}"]
    assert fleet.read("accounts")["missing_nodes"] == ["mail2"]
    assert "no such account" in fleet.run("accounts", "--search", "list-c")
    assert re.search(r"all of these +\d+", fleet.run("accounts", "totals"))
    assert fleet.read("accounts", "totals")["missing_nodes"] == ["mail2"]


def test_account_is_banned_and_unbanned(fleet: Fleet) -> None:
    address = fleet.make("banned")

    assert "is banned on node mail1" in fleet.run("ban", address, "--reason", "spam")
    assert re.search(rf"{address} +mail1 .* spam", fleet.run("blocklist"))
    assert fleet.read("accounts", "show", address)["is_blocked"] is True
    assert "no more" in fleet.run("unban", address)
    assert fleet.read("blocklist", "add", address)["state"] == "done"
    assert [item["address"] for item in fleet.read("blocklist", "--node", "mail1")["items"]] == [address]
    assert fleet.read("blocklist", "remove", address)["state"] == "done"
    assert fleet.read("accounts", "show", address)["is_blocked"] is False
    assert "no blocked address" in fleet.call("unban", address).error


def test_account_has_its_own_quota_and_its_nodes_again(fleet: Fleet) -> None:
    address = fleet.make("quota")

    assert "5G" in fleet.run("accounts", "quota", address, "5G")
    shown = fleet.read("accounts", "show", address)
    assert (shown["quota_bytes"], shown["has_own_quota"]) == (5 << 30, True)
    assert "of its node" in fleet.run("accounts", "quota", address, "fleet")
    assert fleet.read("accounts", "show", address)["has_own_quota"] is False


def test_many_are_deleted_at_once(fleet: Fleet) -> None:
    addresses = [fleet.make(f"many-{number}") for number in range(3)]

    order = fleet.read("accounts", "delete", *addresses, "--yes")

    assert (order["state"], order["accounts"], order["done_accounts"]) == ("done", 3, 3)
    assert fleet.read("accounts", "--search", "many-")["items"] == []
    assert re.search(r"Accounts: +3 of 3", fleet.run("operations", "show", order["id"]))
    assert "3 of 3 accounts: done" in fleet.run("operations", "watch", order["id"])


def test_nothing_is_deleted_unless_the_operator_is_sure(fleet: Fleet) -> None:
    address = fleet.make("kept")

    assert fleet.call("accounts", "delete", address, typed="n\n").code == 1
    assert fleet.read("accounts", "show", address)["address"] == address
    assert fleet.call("accounts", "delete", address, typed="y\n").code == 0


def test_accounts_are_imported_and_exported(fleet: Fleet, tmp_path: Path) -> None:
    madmail = tmp_path / "madmail.json"
    madmail.write_text(json.dumps({"users": [{"username": f"moved@{DOMAIN}", "hash": HASH}]}))
    lines = tmp_path / "lines.jsonl"
    lines.write_text(
        f'{{"address": "moved-too@{DOMAIN}", "password": "correct horse battery"}}\n\n'
        f'{{"address": "moved-also@{DOMAIN}", "password_hash": "{HASH}"}}\n'
    )

    assert "Accounts 1: done" in fleet.run("accounts", "import", str(madmail), "--node", "mail1")
    assert fleet.read("accounts", "import", str(lines), "--node", "mail1")["accounts"] == 2
    file = tmp_path / "export.jsonl"
    assert str(file) in fleet.call("accounts", "export", str(file), "--node", "mail1").error
    exported = {each["address"]: each for each in map(json.loads, file.read_text().splitlines())}
    assert {f"moved@{DOMAIN}", f"moved-too@{DOMAIN}", f"moved-also@{DOMAIN}"} <= set(exported)
    assert HASH in exported[f"moved@{DOMAIN}"]["password_hash"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert fleet.run("accounts", "export", "-", "--node", "mail1").count("\n") >= 3


def test_messages_and_queue_are_let_go(fleet: Fleet) -> None:
    address = fleet.make("purged")

    assert "let go" in fleet.run("purge", "older", "--older-than", "30d", "--node", "mail1", "--yes")
    assert fleet.read("purge", "all", "--account", address, "--yes")["state"] == "done"
    assert "Nothing waits" in fleet.run("queue", "show", "mail1")
    assert fleet.read("queue", "show", "mail1") == []
    assert "is let go" in fleet.run("queue", "purge", "mail1", "--domain", "mail9.example.org", "--yes")


def test_notice_is_refused_with_the_reason(fleet: Fleet) -> None:
    ended = fleet.call("notice", "We move on Sunday.")

    assert (ended.code, ended.output) == (1, "")
    assert "encrypted" in ended.error


def test_order_for_a_node_that_is_away_is_kept_and_said_so(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.client.operation_commands.WAIT_SECONDS", 0.5)

    ended = fleet.call("ban", f"away@{DOMAIN}", "--node", "mail2")

    assert (ended.code, ended.output) == (0, "")
    waiting = fleet.read("operations", "--node", "mail2", "--state", "waiting")
    assert f"operations watch {waiting[0]['id']}" in ended.error
    assert re.search(r"mail2 +block_addresses +1 +waiting", fleet.run("operations"))
    assert re.search(r"State: +waiting", fleet.run("operations", "show", waiting[0]["id"]))


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        (("accounts", "create", "x@elsewhere.example.org"), 2, "--node"),
        (("accounts", "create", "x", "--node", "mail1"), 1, "address"),
        (("accounts", "import", "/nowhere", "--node", "mail1"), 2, "/nowhere"),
        (("accounts", "export", "/nowhere/x", "--node", "mail1"), 2, "/nowhere/x"),
        (("accounts", "export", "/nowhere/x", "--node", "mail2"), 1, "not connected"),
        (("purge", "older", "--node", "mail1"), 2, "--older-than"),
        (("purge", "all", "--older-than", "3d", "--node", "mail1"), 2, "--older-than"),
        (("purge", "older", "--older-than", "3h", "--node", "mail1"), 2, "whole days"),
        (("purge", "all"), 2, "--account"),
        (("queue", "show", "mail9"), 1, "List the nodes"),
        (("operations", "show", "nothing"), 1, "operation"),
        (("operations", "watch", "nothing"), 1, "operation"),
        (("operations", "--name", "nothing"), 1, "purge_mail"),
    ],
)
def test_refused_command_about_accounts_names_the_remedy(
    fleet: Fleet, arguments: tuple[str, ...], code: int, remedy: str
) -> None:
    ended = fleet.call(*arguments)

    assert (ended.code, ended.output) == (code, "")
    assert remedy in ended.error
