"""Calls of Chromium, relay only, to a TURN node by UDP, TCP and TLS, and by every rung of its ladder."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.browser_calls import call, open_pages
from support.kernel_network import NODE, RELAY, KernelNode, mounted_bpf, open_kernel_network
from support.pages_tls import certify_loopback
from support.turn_client import TurnCredential
from support.turn_program import REPLIES_VARIABLE, SECRET
from turnnode.kernel.rungs import LADDER, Rung

pytestmark = [
    pytest.mark.browser,
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace"),
]

HOST = "198.51.100.31"
PORT, TLS_PORT = 3478, 5349
TESTS = Path(__file__).parents[2]
SECONDS = 2


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"turn-browser-{os.getpid()}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "add", "one", "type", "veth", "peer", "name", "other")
        ip("-n", name, "addr", "add", f"{HOST}/24", "dev", "one")
        for device in ("one", "other"):
            ip("-n", name, "link", "set", device, "up")
        ip("-n", name, "route", "add", "default", "dev", "one")
        yield name
    finally:
        ip("netns", "del", name)


@pytest.fixture
def node(namespace: str, tmp_path: Path) -> Iterator[None]:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(certify_loopback())
    settings = {
        "STATE_DIRECTORY": tmp_path / "state",
        "LISTEN_ADDRESSES": HOST,
        "PUBLIC_NAME": HOST,
        "PEER_ALLOW": "198.51.100.0/24",
        "TCP_PORT": PORT,
        "TLS_PORTS": TLS_PORT,
        "TLS_CERTIFICATE": certificate,
        "TLS_KEY": certificate,
    }
    environment = os.environ | {f"TURNNODE_{name}": str(value) for name, value in settings.items()}
    environment |= {"PYTHONPATH": str(TESTS), REPLIES_VARIABLE: "1000"}
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "support.turn_program", "serve"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "daemon ready" in line:
                    break
            yield
        finally:
            process.terminate()


@pytest.mark.usefixtures("node")
def test_call_comes_about_by_every_transport_and_loses_nothing(namespace: str, tmp_path: Path) -> None:
    made = TurnCredential.made(SECRET, time.time() + 3600)
    urls = [
        f"turn:{HOST}:{PORT}",
        f"turn:{HOST}:{PORT}?transport=tcp",
        f"turns:{HOST}:{TLS_PORT}?transport=tcp",
    ]
    with open_pages(namespace, tmp_path) as pages:
        for url in urls:
            servers = [{"urls": [url], "username": made.username, "credential": made.password}]
            _, figures = call(pages, [servers, servers], SECONDS)
            for got in figures:
                assert got["state"] == "connected", url
                assert got["lost"] == 0, url
                assert got["packets"] > SECONDS * 30, url
                assert set(got["relays"]) == {HOST}, url


@pytest.mark.parametrize(
    "rung", [pytest.param(rung, marks=() if rung is Rung.TC else pytest.mark.slow) for rung in LADDER]
)
def test_call_goes_by_every_rung_and_loses_nothing(rung: Rung, tmp_path: Path) -> None:
    made = TurnCredential.made(SECRET, time.time() + 3600)
    servers = [{"urls": [f"turn:{NODE}:{PORT}"], "username": made.username, "credential": made.password}]
    with (
        open_kernel_network(f"tb-{os.getpid()}") as network,
        mounted_bpf(tmp_path / "bpf") as directory,
    ):
        network.be_like_cards()
        network.ip("client", "route", "add", "default", "via", NODE)  # browsers ask for one
        with (
            KernelNode(network, tmp_path, DATA_PATH=rung, BPF_DIRECTORY=str(directory)) as node,
            open_pages(f"{network.name}-client", tmp_path) as pages,
        ):
            _, figures = call(pages, [servers, servers], SECONDS)
            received = sum(got["packets"] for got in figures)
            in_kernel = 0.0 if rung is Rung.USERSPACE else node.read_figure("kernel_packets")
    for got in figures:
        assert got["state"] == "connected"
        assert got["lost"] == 0
        assert set(got["relays"]) == {RELAY}
    if rung is Rung.USERSPACE:
        assert in_kernel == 0
    else:
        assert in_kernel > 0.8 * received


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
