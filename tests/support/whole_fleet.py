"""A whole fleet of real programs on loopback: a control plane, two mail nodes and a TURN node.

For: tests that drive the fleet from outside, over HTTPS, as an admin does. Nothing needs root.
"""

import json
import os
import secrets
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
from anyio.from_thread import start_blocking_portal

from controlplane.admins.access import Role
from controlplane.nodes.enrolment import NewNode, enrol_node
from controlplane.nodes.invitation import describe_enrolment
from controlplane.plane import Plane, open_plane
from controlplane.settings import ControlPlaneSettings
from fleet_plan import FleetPlan, Ports, plan_local_fleet
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.states import NodeKind
from self_signed import make_certificate
from support.controlplane_site import AUTHOR, add_token
from support.push_proxy import PushProxy, open_push_proxy

READY_SECONDS = 60
END_SECONDS = 15
SECOND_MAIL_ADDRESS = "127.0.0.2"


@dataclass(frozen=True)
class WholeFleet:
    """A fleet that runs; its control plane has the first plan."""

    plan: FleetPlan
    second: FleetPlan
    token: str = field(repr=False)
    client: httpx.Client = field(repr=False)
    alternate_port: int = 0
    """Open on all nodes, and nobody is there yet."""
    push_proxy: PushProxy = field(default_factory=PushProxy)
    """Where mail nodes hand device tokens to."""
    other_turn_port: int = 0
    """Where the TURN node takes clients besides the usual port."""

    @property
    def url(self) -> str:
        return self.plan.control_url

    def make_token(self, role: Role = Role.OWNER, **fields: object) -> str:
        """Make an admin token: an owner's of the fleet, unless told otherwise."""
        with open_plane(_read_settings(self.plan)) as plane:
            return add_token(plane, role, f"t{secrets.token_hex(4)}", **fields)

    def is_ready(self) -> bool:
        """Tell whether all nodes are well and do what is wanted of them."""
        try:
            status, _, content = self.send("GET", "/api/v1/nodes", headers=bearer(self.token))
        except httpx.TransportError:
            return False  # nobody listens yet
        nodes = json.loads(content)["items"] if status == 200 else []
        return len(nodes) == 3 and all(
            node["health"] == "ok" and node["applied_revision"] == node["revision"] for node in nodes
        )

    def send(
        self, method: str, path: str, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one HTTP request; return status, headers with small letters, and body."""
        answer = self.client.request(method, path, content=content, headers=headers or {})
        return answer.status_code, dict(answer.headers.items()), answer.content


def bearer(token: str) -> dict[str, str]:
    """Write the header that shows a token."""
    return {"authorization": f"Bearer {token}"}


def trust_all() -> ssl.SSLContext:
    """Make a context that takes the fleet's own certificates."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def running_fleet(directory: Path, second_address: str = SECOND_MAIL_ADDRESS) -> Iterator[WholeFleet]:
    """Run a fleet until the block ends; its second mail node has an address of its own."""
    first = replace(plan_local_fleet(directory / "one", "127.0.0.1"), ports=_find_ports("127.0.0.1"))
    second = replace(
        plan_local_fleet(directory / "two", second_address),
        control_host=first.control_host,
        control_address=first.control_address,
        ports=replace(_find_ports(second_address), control=first.ports.control),
    )
    for plan in (first, second):
        plan.directory.mkdir()
        for label, host in (("control", "127.0.0.1"), ("mail", plan.mail_host)):
            make_certificate(plan.directory, host, label=label)
    with open_plane(_read_settings(first)) as opened:
        for plan, node, kind in (
            (first, "mail1", NodeKind.MAIL),
            (first, "turn1", NodeKind.TURN),
            (second, "mail2", NodeKind.MAIL),
        ):
            _enrol(opened, plan, node, kind)
        token = add_token(opened, name="whole fleet")
    others = _find_ports(SECOND_MAIL_ADDRESS)
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        push_proxy = stack.enter_context(portal.wrap_async_context_manager(open_push_proxy()))
        extras = {
            "MAILNODE_ALTERNATE_PORTS": str(others.imap_tls),
            "MAILNODE_NOTIFICATION_PROXY": push_proxy.url,
            "TURNNODE_ALTERNATE_PORTS": str(others.imap_tls),
            "TURNNODE_OTHER_UDP_PORTS": str(others.turn),
            "TURNNODE_RELAY_PORT_MIN": "61000",  # above the ports that a free one is found among
        }
        log = stack.enter_context((directory / "log").open("ab"))
        for plan, programs in ((first, ("controlplane", "mailnode", "turnnode")), (second, ("mailnode",))):
            for program in programs:
                stack.enter_context(_running(plan, plan.processes[program], log.fileno(), extras))
        client = httpx.Client(
            base_url=first.control_url, verify=trust_all(), follow_redirects=True, timeout=30, trust_env=False
        )
        fleet = WholeFleet(
            first, second, token, stack.enter_context(client), others.imap_tls, push_proxy, others.turn
        )
        _wait_until_ready(fleet)
        yield fleet


@contextmanager
def _running(plan: FleetPlan, command: list[str], log: int, extras: dict[str, str]) -> Iterator[None]:
    environment = {**os.environ, **plan.environment, **extras}
    with subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_ready(fleet: WholeFleet) -> None:
    ends_at = time.monotonic() + READY_SECONDS
    while not fleet.is_ready():
        assert time.monotonic() < ends_at, "the fleet is not ready"
        time.sleep(0.2)


def _enrol(opened: Plane, plan: FleetPlan, name: str, kind: NodeKind) -> None:
    files = NodeFiles(plan.directory / ("mailnode" if kind is NodeKind.MAIL else "turnnode") / "node")
    new = NewNode(name, kind, files.load_identity().public.x, key_is_replaced=False)
    with opened.sessions.begin() as session:
        files.keep_enrolment(describe_enrolment(opened, enrol_node(session, opened.facts, new, AUTHOR)))


def _read_settings(plan: FleetPlan) -> ControlPlaneSettings:
    prefix = "CONTROLPLANE_"
    named = {key: value for key, value in plan.environment.items() if key.startswith(prefix)}
    return ControlPlaneSettings.model_validate(
        {key.removeprefix(prefix).lower(): value for key, value in named.items()}
    )


def _find_ports(host: str) -> Ports:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        names = ("control", "https", "imap_tls", "imap_starttls", "smtp_tls", "smtp_starttls")
        found: dict[str, int] = {}
        for name in names:
            free = stack.enter_context(socket.socket(family))
            free.bind((host, 0))
            found[name] = free.getsockname()[1]
        datagrams = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        datagrams.bind((host, 0))
        return Ports(**found, turn=datagrams.getsockname()[1])
