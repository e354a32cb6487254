"""What an operator relies on: repeated runs, repair, upgrade, going back, firewall, keys, removal."""

import json
import ssl
import tarfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from self_signed import make_certificate
from support.deployed_fleet import ADDRESSES, ROOT, Knocking, PlaybookError, deploy, list_open_ports, run_on
from wheels import Members, write_archive

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("first_run")]

IMAPS = 993
TRACES = (
    "systemctl show {unit} --property=ActiveEnterTimestampMonotonic,MainPID;"
    " find /etc/madfleet /etc/systemd/system /etc/nftables.conf /usr/local/bin /opt/madfleet"
    " -printf '%p %T@\\n' | sort"
)
SHOW_PROCESS = "systemctl show mailnode --property=MainPID"
RELOAD_SECONDS = 15
UNITS = {"control": "controlplane", "mail1": "mailnode", "turn1": "turnnode"}


@pytest.fixture
def other_bundle(tmp_path: Path) -> Path:
    """Another release of the mail node: the same wheels, and one file more."""
    members: Members = {}
    with tarfile.open(ROOT / "dist/bundles/mailnode-x86_64.tar.gz") as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            assert file is not None
            members[entry.name] = (file.read(), entry.mode)
    bundle = tmp_path / "mailnode.tar.gz"
    write_archive(bundle, {**members, "another": (b"release", 0o644)})
    return bundle


def read_nodes() -> dict[str, str]:
    return {node["name"]: node["health"] for node in json.loads(run_on("control", "madfleet nodes --json"))}


def read_served_certificate() -> str:
    return ssl.get_server_certificate((ADDRESSES["mail1"], IMAPS), timeout=RELOAD_SECONDS)


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RELOAD_SECONDS
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def is_replaced(process: str) -> bool:
    """Tell whether another process than that one serves."""
    shown = run_on("mail1", SHOW_PROCESS + ",ActiveState").splitlines()
    return process not in shown and "ActiveState=active" in shown


def read_release() -> str:
    return run_on("mail1", "basename $(readlink /opt/madfleet/mailnode/current)")


def test_second_run_changes_nothing_and_touches_nothing() -> None:
    before = [run_on(host, TRACES.format(unit=unit)) for host, unit in UNITS.items()]

    assert deploy() == {"control": 0, "mail1": 0, "turn1": 0}
    assert [run_on(host, TRACES.format(unit=unit)) for host, unit in UNITS.items()] == before


def test_check_of_a_converged_fleet_reports_nothing() -> None:
    assert deploy("--check") == {"control": 0, "mail1": 0, "turn1": 0}


@pytest.mark.parametrize("tag", ["certificates", "firewall", "node_enrolment"])
def test_a_tag_alone_is_safe(tag: str) -> None:
    assert deploy("--tags", tag) == {"control": 0, "mail1": 0, "turn1": 0}


def test_drift_is_repaired_and_nothing_else() -> None:
    run_on("mail1", "echo 'RestartSec=7' >> /etc/systemd/system/mailnode.service; rm /usr/local/bin/mailnode")
    run_on("turn1", "systemctl stop turnnode")

    # The unit and the command, and the restart; the unit that was stopped.
    assert deploy() == {"control": 0, "mail1": 3, "turn1": 1}
    assert run_on("turn1", "systemctl is-active turnnode") == "active"
    assert deploy("--limit", "mail1") == {"mail1": 0}


def test_upgrade_and_going_back_refuse_no_connection(other_bundle: Path, show: Callable[[str], None]) -> None:
    old = read_release()
    with Knocking("mail1", IMAPS) as client:
        deploy("--limit", "mail1", "--tags", "upgrade", "-e", f"mailnode_bundle={other_bundle}")
        new = read_release()
        deploy("--limit", "mail1", "--tags", "upgrade", "-e", f"mailnode_release={old}")

    assert new != old
    assert read_release() == old
    assert client.outcomes["refused"] == 0
    assert client.outcomes["greeted"] > 100
    show(f"upgrade and back: {dict(client.outcomes)}")


@pytest.mark.parametrize("command", ["systemctl restart mailnode", "systemctl kill --signal=KILL mailnode"])
def test_a_new_process_refuses_no_connection(command: str, show: Callable[[str], None]) -> None:
    with Knocking("mail1", IMAPS) as client:
        for _ in range(3):
            process = run_on("mail1", SHOW_PROCESS)
            run_on("mail1", command)
            wait_until(partial(is_replaced, process))

    assert client.outcomes["refused"] == 0
    assert client.outcomes["greeted"] > 10
    show(f"{command}, three times: {dict(client.outcomes)}")


def test_a_release_that_the_host_does_not_have_is_refused_in_a_sentence() -> None:
    with pytest.raises(PlaybookError, match="This host has no release 0123456789abcdef"):
        deploy("--limit", "mail1", "-e", "mailnode_release=0123456789abcdef")


def test_a_wrong_inventory_is_refused_in_a_sentence() -> None:
    with pytest.raises(
        PlaybookError, match=r"mailnode_mail_domain is 198\.51\.100\.21\. Write an address in"
    ):
        deploy("--limit", "mail1", "-e", "mailnode_mail_domain=198.51.100.21")


@pytest.mark.parametrize(
    ("host", "ports"),
    [("control", [22, 80, 443]), ("mail1", [22, 80, 143, 443, 465, 587, 993]), ("turn1", [22])],
)
def test_only_declared_ports_are_open(host: str, ports: list[int]) -> None:
    assert list_open_ports(host, last=10_000) == ports


def test_a_certificate_is_replaced_without_a_restart(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "198.51.100.21", label="other")
    files = ["-e", f"tls_certificate_chain_file={chain}", "-e", f"tls_certificate_key_file={key}"]
    process, before = run_on("mail1", SHOW_PROCESS), read_served_certificate()
    make_certificates = ["--limit", "mail1", "--tags", "certificates"]

    deploy(*make_certificates, "-e", "tls_certificate_mode=file", *files)
    wait_until(lambda: read_served_certificate() == chain.read_text())
    deploy(*make_certificates)
    wait_until(lambda: read_served_certificate() == before)

    assert run_on("mail1", SHOW_PROCESS) == process


def test_a_node_with_another_key_is_let_in_only_on_demand() -> None:
    run_on("turn1", "systemctl stop turnnode; rm -r /var/lib/turnnode/node")

    with pytest.raises(PlaybookError, match="A node of this name is enrolled already"):
        deploy("--limit", "turn1")
    deploy("--limit", "turn1", "-e", "node_enrolment_key_replaced=true")

    run_on(
        "control", "for i in $(seq 20); do madfleet nodes | grep -q 'turn1 .*ok' && break; sleep 0.5; done"
    )
    assert read_nodes()["turn1"] == "ok"


def test_a_node_joins_with_a_token_that_is_good_once() -> None:
    run_on("control", "madfleet retire turn1")
    run_on("turn1", "systemctl stop turnnode; rm -r /var/lib/turnnode/node")
    token = run_on("control", "madfleet join-token turn1 --kind turn 2>/dev/null")

    deploy("--limit", "turn1", "-e", f"node_enrolment_join_token={token}")
    run_on(
        "control", "for i in $(seq 20); do madfleet nodes | grep -q 'turn1 .*ok' && break; sleep 0.5; done"
    )
    assert read_nodes()["turn1"] == "ok"

    run_on("turn1", "systemctl stop turnnode; rm -r /var/lib/turnnode/node")
    with pytest.raises(PlaybookError, match="Redeem the join token"):
        deploy("--limit", "turn1", "-e", f"node_enrolment_join_token={token}")
    deploy("--limit", "turn1", "-e", "node_enrolment_key_replaced=true")


def test_a_service_that_is_not_wanted_is_removed_but_not_what_users_entrusted_to_it() -> None:
    deploy("--limit", "mail1", "-e", "mailnode_enabled=false")

    assert (
        run_on(
            "mail1", "ls -d /opt/madfleet/mailnode /etc/systemd/system/mailnode.service 2>&1 | grep -c cannot"
        )
        == "2"
    )
    assert run_on("mail1", "ls -d /var/lib/mailnode/mail") == "/var/lib/mailnode/mail"
    deploy("--limit", "mail1")
    assert run_on("mail1", "systemctl is-active mailnode") == "active"
