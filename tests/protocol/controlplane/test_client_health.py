"""Commands about how the fleet is and was, and about TURN, at a control plane served on loopback."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.health.samples import keep_samples
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.reports import keep_report
from nodelink.contract.reports import CredentialUse, ProbeReport
from nodelink.contract.states import NodeKind
from support.client_site import ClientSite, open_client_site
from support.controlplane_site import add_node, make_report, read_turn_secrets

TURN_NAME = "turn.example.org"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ClientSite]:
    with open_client_site(tmp_path, turn_name=TURN_NAME) as site:
        add_node(site.plane, "mail1")
        add_node(site.plane, "turn1", NodeKind.TURN)
        yield site


def keep(site: ClientSite, node: str, kind: NodeKind, **changes: object) -> None:
    """Keep a report of a node at this moment, and the sample of this minute."""
    now = int(time.time())
    with site.plane.sessions.begin() as session:
        keep_report(session, read_node(session, node), make_report(kind, **changes), now)
        keep_samples(session, now)


def test_history_of_the_fleet_and_of_a_node(site: ClientSite) -> None:
    assert "Nothing was reported" in site.run("history")
    keep(site, "mail1", NodeKind.MAIL, figures={"accounts": 3, "queued_messages": 0.5})

    assert re.search(r"accounts +3 +3 +3\n", site.run("history"))
    assert re.search(r"queued_messages +0\.5 +0\.5 +0\.5\n", site.run("history", "--node", "mail1"))
    lines = site.run("history", "--since", "3m", "--figure", "accounts", "--figure", "nodes").splitlines()
    assert re.fullmatch(r"MINUTE \(UTC\) +accounts +nodes", lines[0])
    assert len(lines) == 4
    assert [line for line in lines if re.search(r"\d\d:\d\d +3 +2$", line)]
    assert re.search(r" - +-$", lines[1])
    told = site.read("history", "--node", "mail1", "--since", "1h", "--figure", "accounts")
    assert (list(told["figures"]), len(told["times_seconds"])) == (["accounts"], 60)


def test_history_of_what_is_not_kept_is_refused(site: ClientSite) -> None:
    assert "There are: none" in site.call("history", "--figure", "colour").error
    ended = site.call("history", "--since", "2d")
    assert (ended.code, "minutes" in ended.error) == (1, True)
    assert site.call("history", "--since", "soon").code == 2
    assert site.call("history", "--node", "mail9").code == 1


def test_probes_are_listed_and_failing_ones_alone(site: ClientSite) -> None:
    assert "No node has probed" in site.run("probes")
    assert "No probe has failed" in site.run("probes", "--failing")
    at_seconds = int(time.time())
    fine = ProbeReport(peer="mail2", at_seconds=at_seconds, seconds=0.25, problem=None)
    dead = ProbeReport(peer="mail3", at_seconds=at_seconds, seconds=None, problem="Not reached: \x1b[31m.")
    keep(site, "mail1", NodeKind.MAIL, probes=(fine, dead))

    text = site.run("probes")
    assert re.search(r"mail1 +mail2 +mail +[-\d]+ [:\d]+ +0\.250 +-\n", text)
    assert re.search(r"mail1 +mail3 +mail +[-\d]+ [:\d]+ +- +Not reached: \?\[31m\.\n", text)
    assert [probe["peer"] for probe in site.read("probes", "--failing")] == ["mail3"]


def test_metrics_are_printed_as_prometheus_reads_them(site: ClientSite) -> None:
    text = site.run("metrics")

    assert re.search(r'^madfleet_node_[a-z_]+\{.*node="mail1".*\} [\d.]+$', text, re.MULTILINE)
    assert text.startswith("# HELP ")
    assert not text.endswith("\n\n")


def test_turn_is_shown_and_its_secret_replaced_once(site: ClientSite) -> None:
    keep(site, "turn1", NodeKind.TURN)
    text = site.run("turn")
    assert re.search(r"Next secret awaited by: +-\n", text)
    assert re.search(r"1 +present +[-\d]+ [:\d]+ +[-\d]+ [:\d]+ +-\n", text)
    assert site.call("turn", "rotate-secret", typed="n\n").code == 1
    assert len(site.read("turn")["secrets"]) == 1

    assert "once these have it: turn1." in site.run("turn", "rotate-secret", "--yes")
    text = site.run("turn")
    assert re.search(r"Next secret awaited by: +turn1\n", text)
    assert re.search(r"2 +next +[-\d]+ [:\d]+ +not yet +-\n", text)
    ended = site.call("turn", "rotate-secret", "--yes")
    assert (ended.code, ended.output) == (1, "")
    shown = text + site.run("turn", "--json")
    assert not [secret for secret in read_turn_secrets(site.plane) if secret in shown]


def test_use_of_turn_is_listed_by_pseudonym(site: ClientSite) -> None:
    assert "No credential" in site.run("turn", "usage")
    use = CredentialUse(pseudonym="a" * 16, allocations=1, packets=2, bytes=3 << 20, dropped=4)
    keep(site, "turn1", NodeKind.TURN, credentials=(use,))

    assert re.search(r"a{16} +turn1 +1 +3M +2 +4\n", site.run("turn", "usage"))
    assert [each["bytes"] for each in site.read("turn", "usage")] == [3 << 20]


def test_zone_of_the_turn_name_leaves_out_who_drains(site: ClientSite) -> None:
    add_node(site.plane, "turn2", NodeKind.TURN)
    for node, address in (("turn1", "192.0.2.1"), ("turn2", "2001:db8::2")):
        keep(site, node, NodeKind.TURN, addresses=(address,))
    site.run("drain", "turn2")

    text = site.run("turn", "zone")
    assert re.search(r"turn1 +192\.0\.2\.1 +-\n", text)
    assert re.search(r"turn2 +2001:db8::2 +draining\n", text)
    assert text.endswith(f"{TURN_NAME}. 60 IN A 192.0.2.1\n")
    assert site.read("turn", "zone")["records"] == [f"{TURN_NAME}. 60 IN A 192.0.2.1"]


def test_fleet_without_a_turn_name_is_told_how_to_have_one(tmp_path: Path) -> None:
    with open_client_site(tmp_path) as site:
        text = site.run("turn", "zone")

    assert "no TURN node" in text
    assert "controlplane_turn_name" in text
