"""What daemons of the deployed fleet complain of: nothing that their own units forbid them."""

import pytest

from support.deployed_fleet import ADDRESSES, UNITS, run_on
from support.lab import LabFleet

pytestmark = pytest.mark.lab

FORBIDDEN = "No such file|Permission denied|Operation not permitted|Read-only file system"
JOURNAL = "journalctl --output cat _SYSTEMD_INVOCATION_ID=$(systemctl show {unit} --value -p InvocationID)"


@pytest.mark.parametrize("host", ADDRESSES)
def test_daemon_reaches_all_that_it_asks_for(fleet: LabFleet, host: str) -> None:
    fleet.wait_until_ready()

    journal = JOURNAL.format(unit=UNITS[host])
    ready = run_on(host, f"{journal} --grep 'daemon ready' | head -1")
    found = run_on(host, f"{journal} --grep '{FORBIDDEN}' | head -3")

    assert ready
    assert found == ""
