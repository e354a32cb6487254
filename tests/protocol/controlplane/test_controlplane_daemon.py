"""The daemon as its service manager and its nodes meet it: a process with TLS, signals and exit codes."""

import asyncio
import http.client
import json
import socket
import ssl
import subprocess
import sys
import urllib.request
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from controlplane.plane import open_plane
from controlplane.settings import ControlPlaneSettings
from lab_authority import make_certificates
from nodelink.channel.agent import NodeAgent
from nodelink.channel.client_tls import build_client_context
from nodelink.channel.joining import join_fleet
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.enrolment import read_join_token
from nodelink.contract.reports import Report
from nodelink.contract.states import NodeKind, NodeState
from nodelink.daemon.settings import EXIT_BAD_CONFIGURATION, read_settings
from nodelink.daemon.tls import read_spki_pin
from support.clocks import until
from support.controlplane_process import START_SECONDS, Installation, install
from support.controlplane_site import make_report

pytestmark = pytest.mark.anyio


def get(installation: Installation, path: str) -> int:
    context = ssl.create_default_context(cafile=str(installation.directory / "tls.crt"))
    with urllib.request.urlopen(installation.url + path, context=context, timeout=5) as answer:  # noqa: S310 - our own URL
        status: int = answer.status
        return status


def test_daemon_is_ready_serves_and_stops_when_told(tmp_path: Path) -> None:
    installation = install(tmp_path)

    with installation.start() as process:
        assert get(installation, "/") == 200
        process.terminate()
        output, _ = process.communicate(timeout=10)

    assert process.returncode == 0
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert "daemon ready" in events
    assert "daemon stopping" in events


def join(installation: Installation, directory: Path) -> NodeAgent:
    """Join a real agent of a node, which verifies the control plane by its pinned key."""
    token = read_join_token(installation.run("join-token", "mail1", "--kind", "mail").stdout)
    assert token.tls_pin == read_spki_pin(installation.directory / "tls.crt")
    files = NodeFiles(directory)
    enrolment = join_fleet(files, NodeKind.MAIL, token)
    applied: list[NodeState] = []

    def report(revision: int) -> Report:
        return make_report(applied_revision=revision)

    agent = NodeAgent(
        files=files,
        identity=files.load_identity(),
        enrolment=enrolment,
        software_version="0.1.0",
        apply=applied.append,
        read_report=report,
        build_tls=lambda: build_client_context(enrolment.tls_pin),
    )
    agent.restore()
    return agent


@pytest.mark.timeout(60)  # two starts of the control plane, and three commands
async def test_real_agent_joins_follows_and_comes_back_after_a_restart(tmp_path: Path) -> None:
    installation = install(tmp_path)
    async with AsyncExitStack() as stack:
        with installation.start() as process:
            agent = await asyncio.to_thread(join, installation, tmp_path / "node")
            await agent.start(stack)
            await until(lambda: agent.applied_revision == 2)  # the list of mail nodes has it
            closed = await asyncio.to_thread(installation.run, "registration", "close")
            assert closed.returncode == 0
            await until(lambda: agent.applied_revision == 3, within_seconds=2)
            process.terminate()
            # Meanwhile the agent says goodbye.
            await asyncio.to_thread(process.communicate, timeout=START_SECONDS)
        kept = agent.files.read_state()
        assert kept is not None

        with installation.start():
            await until(lambda: bool(agent.connected))
            opened = await asyncio.to_thread(installation.run, "registration", "open")
            assert opened.returncode == 0
            await until(lambda: agent.applied_revision == 4, within_seconds=2)
            nodes = json.loads((await asyncio.to_thread(installation.run, "nodes", "--json")).stdout)
            await stack.aclose()  # a control plane that ends waits for its nodes

    assert (nodes[0]["health"], nodes[0]["applied_revision"], nodes[0]["revision"]) == ("ok", 4, 4)


def test_port_80_serves_challenges_and_leads_to_the_public_address(tmp_path: Path) -> None:
    (tmp_path / "a-token").write_text("content")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    installation = install(tmp_path, http_port=port, acme_challenge_directory=tmp_path)

    with installation.start():
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("GET", "/.well-known/acme-challenge/a-token")
        challenge = client.getresponse().read()
        client.request("GET", "/join", headers={"Host": "other.example.org"})
        answer = client.getresponse()
        client.close()

    assert challenge == b"content"
    assert (answer.status, answer.headers["Location"]) == (301, f"{installation.url}/join")


def test_nodes_are_told_a_pin_only_while_nobody_else_vouches(tmp_path: Path) -> None:
    installation = install(tmp_path)
    with open_plane(read_settings(ControlPlaneSettings, installation.settings)) as plane:
        pinned = plane.read_tls_pin()
        make_certificates(tmp_path / "authority", ["control.test"])
        (tmp_path / "authority" / "control.test.chain.pem").replace(tmp_path / "tls.crt")

        vouched = plane.read_tls_pin()

    assert pinned is not None
    assert vouched is None


def start_and_fail(installation: Installation) -> str:
    command = [sys.executable, "-m", "controlplane.main", "--settings", str(installation.settings)]
    process = subprocess.run(command, check=False, capture_output=True, text=True, timeout=START_SECONDS)
    assert process.returncode == EXIT_BAD_CONFIGURATION, process.stderr
    assert process.stderr.count("\n") == 1
    return process.stderr


def test_missing_certificate_is_bad_configuration(tmp_path: Path) -> None:
    installation = install(tmp_path)
    (tmp_path / "tls.crt").unlink()

    assert "tls.crt" in start_and_fail(installation)


def test_damaged_database_is_bad_configuration(tmp_path: Path) -> None:
    installation = install(tmp_path)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "controlplane.sqlite").write_bytes(b"garbage" * 1000)

    assert "The database cannot be opened" in start_and_fail(installation)


def test_state_directory_that_is_a_file_is_bad_configuration(tmp_path: Path) -> None:
    installation = install(tmp_path)
    (tmp_path / "state").write_text("in the way")

    assert "state directory" in start_and_fail(installation)


def test_address_of_somebody_else_is_bad_configuration(tmp_path: Path) -> None:
    assert "Cannot listen on 192.0.2.1" in start_and_fail(install(tmp_path, listen_addresses="192.0.2.1"))
