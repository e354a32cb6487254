"""Nodes whose certificate, key or place in the fleet changes."""

import ssl
from pathlib import Path

import pytest

from self_signed import make_certificate
from support.clocks import wait_until
from support.deployed_fleet import ADDRESSES, PlaybookError, deploy, run_on
from support.lab import LabFleet

pytestmark = pytest.mark.lab

IMAPS = 993
SOON_SECONDS = 20
FORGET_KEY = "systemctl stop turnnode; rm -r /var/lib/turnnode/node"
DEPLOY_TURN1 = ("--limit", "turn1", "--tags", "turnnode")
DEPLOY_MAIL2 = ("--limit", "mail2", "--tags", "mailnode")


def read_served_certificate() -> str:
    return ssl.get_server_certificate((ADDRESSES["mail1"], IMAPS), timeout=SOON_SECONDS)


def test_a_certificate_is_replaced_without_a_restart(fleet: LabFleet, tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "_mail1.test", label="other")
    files = ["-e", f"tls_certificate_chain_file={chain}", "-e", f"tls_certificate_key_file={key}"]
    process, before = fleet.process("mail1"), read_served_certificate()
    make_certificates = ["--limit", "mail1", "--tags", "certificates"]

    deploy(*make_certificates, *files)
    wait_until(lambda: read_served_certificate() == chain.read_text(), SOON_SECONDS)
    deploy(*make_certificates)
    wait_until(lambda: read_served_certificate() == before, SOON_SECONDS)

    assert fleet.process("mail1") == process


def test_a_node_with_another_key_is_let_in_only_on_demand(fleet: LabFleet) -> None:
    run_on("turn1", FORGET_KEY)

    with pytest.raises(PlaybookError, match="A node of this name is enrolled already"):
        deploy(*DEPLOY_TURN1)
    deploy(*DEPLOY_TURN1, "-e", "node_enrolment_key_replaced=true")

    fleet.wait_until_ready()


def test_a_node_joins_with_a_token_that_is_good_once(fleet: LabFleet) -> None:
    fleet.madfleet("retire", "turn1")
    run_on("turn1", FORGET_KEY)
    token = run_on("control", "madfleet join-token turn1 --kind turn 2>/dev/null")

    deploy(*DEPLOY_TURN1, "-e", f"node_enrolment_join_token={token}")
    fleet.wait_until_ready()

    run_on("turn1", FORGET_KEY)
    with pytest.raises(PlaybookError, match="The control plane refuses: "):
        deploy(*DEPLOY_TURN1, "-e", f"node_enrolment_join_token={token}")
    deploy(*DEPLOY_TURN1, "-e", "node_enrolment_key_replaced=true")
    fleet.wait_until_ready()


def test_a_service_that_is_not_wanted_is_removed_but_not_what_users_entrusted_to_it(fleet: LabFleet) -> None:
    deploy(*DEPLOY_MAIL2, "-e", "mailnode_enabled=false")

    looked = run_on("mail2", "ls -d /opt/madfleet/mailnode /etc/systemd/system/mailnode.service 2>&1; true")
    assert looked.count("cannot access") == 2
    assert run_on("mail2", "ls -d /var/lib/mailnode/mail") == "/var/lib/mailnode/mail"
    deploy(*DEPLOY_MAIL2)
    fleet.wait_until_ready()
