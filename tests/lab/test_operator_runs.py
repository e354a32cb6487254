"""What an operator relies on when the playbook runs again: it repairs what has drifted, and nothing else."""

from collections.abc import Callable

import pytest

from support.deployed_fleet import ADDRESSES, UNITS, PlaybookError, deploy, run_on
from support.lab import LabFleet

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("fleet")]

NO_CHANGES = dict.fromkeys(ADDRESSES, 0)
TRACES = (
    "systemctl show {unit} nftables controlplane-backup.timer"
    " --property=Id,ActiveEnterTimestampMonotonic,MainPID,ExecReload;"
    " find /etc /usr/local/bin /opt/madfleet -printf '%p %T@\\n' | sort;"
    " find /var/lib/{unit} -name master-key -o -name node-key.pem -o -name enrolment.json"
    " | sort | xargs stat --format='%n %y'"
)


def test_second_run_changes_nothing_and_touches_nothing() -> None:
    before = [run_on(host, TRACES.format(unit=unit)) for host, unit in UNITS.items()]
    assert all("/master-key " in traces or "/enrolment.json " in traces for traces in before)

    assert deploy() == NO_CHANGES
    assert [run_on(host, TRACES.format(unit=unit)) for host, unit in UNITS.items()] == before


def test_check_of_a_converged_fleet_reports_nothing() -> None:
    assert deploy("--check") == NO_CHANGES


@pytest.mark.parametrize("tag", ["certificates", "firewall", "node_enrolment"])
def test_a_tag_alone_is_safe(tag: str) -> None:
    assert deploy("--tags", tag) == NO_CHANGES


def test_drift_is_repaired_and_nothing_else(fleet: LabFleet, show: Callable[[str], None]) -> None:
    run_on("mail1", "echo 'RestartSec=7' >> /etc/systemd/system/mailnode.service; rm /usr/local/bin/mailnode")
    run_on("turn1", "systemctl stop turnnode")
    run_on("control", "sed -i s/Lab/Drifted/ /etc/madfleet/controlplane.env")

    # mail1: unit, command, and the restart; turn1: the unit that was stopped; control: settings, restart.
    changes = deploy()
    show(f"drift repaired with these changes: {changes}")
    assert changes == NO_CHANGES | {"mail1": 3, "turn1": 1, "control": 2}
    fleet.wait_until_ready()
    assert deploy() == NO_CHANGES


def test_a_wrong_inventory_is_refused_in_a_sentence() -> None:
    with pytest.raises(
        PlaybookError, match=r"mailnode_mail_domain is 198\.51\.100\.21\. Write an address in"
    ):
        deploy("--limit", "mail1", "-e", "mailnode_mail_domain=198.51.100.21")
