"""The control plane under measurement: a process on loopback, its database, and what it costs.

Not for: the nodes (simulated.py).
"""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from controlplane.admins.access import Role
from controlplane.admins.audit import Author
from controlplane.admins.models import TokenRequest
from controlplane.admins.tokens import create_token
from controlplane.nodes.desired import renew_revisions
from controlplane.nodes.enrolment import NewNode, enrol_node
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.models import Node
from controlplane.nodes.reports import keep_reports
from controlplane.plane import Plane, open_plane
from controlplane.policy.models import NodePolicy
from controlplane.settings import ControlPlaneSettings
from nodelink.channel.client_tls import build_client_context
from nodelink.contract.states import NodeKind
from nodelink.daemon.settings import read_settings_or_exit
from nodelink.daemon.tls import read_self_signed_pin
from self_signed import make_certificate
from steering.simulated import SimulatedFleet, SimulatedNode

HOST = "127.0.0.1"
PROGRAM = str(Path(sys.executable).parent / "controlplane")
READY_SECONDS = 60
AUTHOR = Author("bench", "bench", 1_800_000_000)


@dataclass(frozen=True, slots=True)
class Site:
    """Where the control plane is installed. `token` is an owner's."""

    directory: Path
    url: str
    pin: str
    trusted_keys: tuple[str, ...]
    token: str

    @property
    def tls(self) -> ssl.SSLContext:
        """What trusts its certificate and no other."""
        return build_client_context(self.pin)

    @contextmanager
    def run(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the program, ready when this returns, until the block ends."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            address = self.directory / "notify"
            address.unlink(missing_ok=True)
            manager.settimeout(READY_SECONDS)
            manager.bind(str(address))
            command = [PROGRAM, "--settings", str(self.directory / "settings.env")]
            with (self.directory / "log").open("ab") as log:
                process = subprocess.Popen(
                    command, env=os.environ | {"NOTIFY_SOCKET": str(address)}, stdout=log, stderr=log
                )
            try:
                while manager.recv(4096) != b"READY=1":
                    continue
                yield process
            finally:
                process.kill()  # it would wait for the nodes to leave, which are on the loop of this thread
                process.wait(READY_SECONDS)


@contextmanager
def install(fleet: SimulatedFleet) -> Iterator[Site]:
    """Install a control plane that knows a fleet already; gone when the block ends."""
    directory = Path(tempfile.mkdtemp(prefix="bench-controlplane-"))
    try:
        yield _install(directory, fleet)
    finally:
        shutil.rmtree(directory)


def read_cpu_seconds(process_id: int) -> float:
    """Read how much CPU time a process has used. Source: proc_pid_stat(5)."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_queued_seconds(process_id: int) -> float:
    """Read how long a process could have run and did not, as its core was busy, the longest of its threads.

    Source: the kernel's Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat.
    """
    stats = [path.read_text().split() for path in Path(f"/proc/{process_id}/task").glob("*/schedstat")]
    return max((int(waited) for _, waited, _ in stats), default=0) / 1e9


def read_resident_mebibytes(process_id: int) -> float:
    """Read how much memory a process holds. Source: proc_pid_statm(5)."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _install(directory: Path, fleet: SimulatedFleet) -> Site:
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    certificate, key = make_certificate(directory, HOST)
    url = f"https://{HOST}:{port}"
    lines = {
        "STATE_DIRECTORY": directory / "state",
        "LISTEN_ADDRESSES": HOST,
        "PORT": port,
        "PUBLIC_URL": url,
        "TLS_CERTIFICATE": certificate,
        "TLS_KEY": key,
        "TLS_PINNED": "true",
    }
    settings_file = directory / "settings.env"
    settings_file.write_text("".join(f"CONTROLPLANE_{name}={value}\n" for name, value in lines.items()))
    pin = read_self_signed_pin(certificate) or ""
    with open_plane(read_settings_or_exit(ControlPlaneSettings, settings_file)) as plane:
        with plane.sessions.begin() as session:
            _enrol(session, plane, fleet.nodes)
        with plane.sessions.begin() as session:
            request = TokenRequest.model_validate({"name": "bench", "role": Role.OWNER})
            token = create_token(session, plane.vault, AUTHOR, request)[1]
        return Site(directory, url, pin, plane.keys.trusted, token)


def _enrol(session: Session, plane: Plane, nodes: list[SimulatedNode]) -> None:
    """Enrol one node as an operator does, and the rest beside it at once: enrolling is not measured.

    All of them have reported once, so that they know one another as soon as they have connected.
    """
    first, *rest = nodes
    enrol_node(
        session,
        plane.facts,
        NewNode(first.name, first.kind, first.identity.public.x, key_is_replaced=False),
        AUTHOR,
    )
    example = session.get_one(Node, first.name).model_dump(warnings=False)
    residue = 1
    for node in rest:
        is_mail = node.kind is NodeKind.MAIL
        own = {"name": node.name, "kind": node.kind, "public_key": node.identity.public.x}
        session.add(
            Node.model_validate(example | own | {"residue": residue if is_mail else None, "state_digest": ""})
        )
        residue += is_mail
    session.flush()
    session.add_all(NodePolicy.model_validate({"node_name": node.name, "revision": 1}) for node in rest)
    begin_change(session).mail_nodes_ever = residue
    keep_reports(session, {node.name: node.report(0) for node in nodes}, AUTHOR.now_seconds)
    renew_revisions(session, plane.facts)
