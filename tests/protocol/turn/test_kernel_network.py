"""A test's network is its own: it takes nothing that is there already, and leaves nothing behind."""

import os
import subprocess
from pathlib import Path

import pytest

from support.kernel_network import NamespaceTakenError, open_kernel_network

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]
NAMESPACES = Path("/var/run/netns")


def test_network_goes_with_its_test() -> None:
    name = f"tn-{os.getpid()}"

    with open_kernel_network(name):
        assert len(list(NAMESPACES.glob(f"{name}-*"))) == 3

    assert not list(NAMESPACES.glob(f"{name}-*"))


def test_namespace_of_another_run_is_refused_and_stays() -> None:
    name = f"tn-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", f"{name}-turn"], check=True)
    try:
        with pytest.raises(NamespaceTakenError, match=f"ip netns del {name}-turn"), open_kernel_network(name):
            pass

        assert [path.name for path in NAMESPACES.glob(f"{name}-*")] == [f"{name}-turn"]
    finally:
        subprocess.run(["ip", "netns", "del", f"{name}-turn"], check=True)
