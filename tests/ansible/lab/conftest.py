"""Machines with a deployed fleet. `scripts/lab_test.sh` boots them, and runs these tests in their network."""

import pytest

from support.deployed_fleet import deploy, wait_for_machines


@pytest.fixture(scope="session")
def first_run() -> dict[str, int]:
    """The fleet is deployed; these are the changes that it took."""
    wait_for_machines()
    return deploy()
