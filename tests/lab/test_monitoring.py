"""Debian's Prometheus reads the deployed fleet, and knows what the dashboard and the alert rules ask."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.deployed_fleet import ADDRESSES, ROOT
from support.lab import CONTROL, CONTROL_NAME, LabFleet
from support.prometheus import read_panels, run_prometheus

pytestmark = pytest.mark.lab

VERIFIED = {"ca_file": str(ROOT / ".lab/certificates/ca.pem"), "server_name": CONTROL_NAME}


def test_every_panel_has_data_of_every_node_and_no_alert_rule_fails(
    fleet: LabFleet, tmp_path: Path, show: Callable[[str], None]
) -> None:
    made = json.loads(
        fleet.madfleet("admin-token", "--name", "prometheus", "--role", "viewer", "--replace", "--json")
    )
    with run_prometheus(
        tmp_path, f"{CONTROL}:443", made["token"], scheme="https", tls_config=VERIFIED
    ) as prometheus:
        empty = [title for title, query in read_panels() if not prometheus.wait_for_data(query)]
        up = {each["metric"]["node"]: each["value"][1] for each in prometheus.ask("madfleet_node_up")}
        rules = prometheus.read_rules()

    show(f"Prometheus: {len(read_panels())} queries of panels, {len(rules)} alert rules, {len(up)} nodes up")
    assert empty == []
    assert up == dict.fromkeys(ADDRESSES.keys() - {"control"}, "1")
    assert {(rule["name"], rule["health"]) for rule in rules} == {(rule["name"], "ok") for rule in rules}
    assert rules
