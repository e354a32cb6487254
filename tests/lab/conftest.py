"""The deployed fleet, and real clients on computers of their own. `scripts/lab_test.sh` runs these tests."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.deltachat import Client, Core, open_core
from support.lab import NEWEST_CORE, LabFleet, OpenCore
from support.namespaces import open_network

CLIENTS = ["a", "b"]


@pytest.fixture(scope="session")
def fleet() -> Iterator[LabFleet]:
    with open_network(CLIENTS) as network:
        fleet = LabFleet(network)
        fleet.wait_until_ready()
        yield fleet


@pytest.fixture
def device(fleet: LabFleet, tmp_path: Path) -> Iterator[OpenCore]:
    """Start devices: `device("a")` is a Delta Chat core in namespace a; `server` chooses another version."""
    numbers = itertools.count()
    with ExitStack() as stack:

        def start(namespace: str = "a", server: str = NEWEST_CORE) -> Core:
            command = fleet.network.command(namespace, server)
            return stack.enter_context(open_core(command, tmp_path / f"device{next(numbers)}"))

        yield start


@pytest.fixture
def pair(fleet: LabFleet, device: OpenCore) -> tuple[Client, Client]:
    """Two clients, each registered by a QR code of its own, who have scanned one another."""
    alice, bob = (device(namespace).add_client() for namespace in CLIENTS)
    for client in (alice, bob):
        client.configure_by_qr(fleet.register()["dclogin_url"])
    bob.join(alice.invite())
    return alice, bob
