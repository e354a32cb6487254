"""One fleet for all lab tests, and real clients in namespaces of their own."""

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.deltachat import Client, Core, open_core
from support.lab import NEWEST_CORE, LabFleet, OpenCore, open_lab

CLIENTS = ["a", "b"]


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabFleet]:
    if os.geteuid() != 0:
        pytest.fail("The lab needs root for its network namespaces. Run: sudo make test-lab")
    with open_lab(tmp_path_factory.mktemp("fleet"), CLIENTS) as lab:
        yield lab


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
