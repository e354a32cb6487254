"""Calls of Chromium, relay only, to a TURN node by UDP, TCP and TLS, in a network namespace of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from support.browser_calls import call
from support.pages_browser import CHROMIUM, OPTIONS
from support.pages_tls import certify_loopback
from support.turn_client import TurnCredential
from support.turn_program import REPLIES_VARIABLE, SECRET

pytestmark = [
    pytest.mark.browser,
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace"),
]

HOST = "198.51.100.31"
PORT, TLS_PORT = 3478, 5349
TESTS = Path(__file__).parents[2]
SECONDS = 2
# The node's certificate is its own; this is not about who vouches for it.
LAX = ["--ignore-certificate-errors", "--autoplay-policy=no-user-gesture-required"]


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


@contextmanager
def open_pages(namespace: str, folder: Path) -> Iterator[list[Page]]:
    """Open two browsers there, with a page each."""
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec ip netns exec {namespace} {CHROMIUM} "$@"\n')
    program.chmod(0o755)
    with ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        pages: list[Page] = []
        for _ in range(2):
            browser = playwright.chromium.launch(executable_path=program, args=[*OPTIONS, *LAX])
            stack.callback(browser.close)
            pages.append(browser.new_page())
        yield pages


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


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
