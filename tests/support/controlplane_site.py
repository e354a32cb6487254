"""A control plane on a database of its own, in this process: opened, over HTTP, or served on loopback."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import FastAPI
from fastapi.testclient import TestClient

from controlplane.admins.access import Role, ScopeKind
from controlplane.admins.audit import Author
from controlplane.admins.models import TokenRequest
from controlplane.admins.tokens import create_token
from controlplane.application import create_app
from controlplane.database import open_postgresql, open_sqlite, upgrade_database
from controlplane.nodes.administration import move_node
from controlplane.nodes.enrolment import NewNode, enrol_node
from controlplane.nodes.group_models import GroupRequest
from controlplane.nodes.groups import create_group
from controlplane.nodes.models import NodeMove
from controlplane.nodes.turn_secrets import open_secrets
from controlplane.plane import DATABASE, Plane, open_plane
from controlplane.serving import serve_application
from controlplane.settings import ControlPlaneSettings
from nodelink.channel.files import make_private_directory
from nodelink.contract.keys import PrivateKey
from nodelink.contract.reports import MailPlaces, Report
from nodelink.contract.states import NodeKind
from support.postgresql import ENGINE, database_of, make_database

PUBLIC_URL = "https://control.example.org:8443"
NOW = 1_800_000_000
TEMPLATE = "tables"
AUTHOR = Author("tester", "test", NOW)


class Clock:
    """A clock that a test moves."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def make_settings(directory: Path, **changes: object) -> ControlPlaneSettings:
    fields: dict[str, object] = {
        "state_directory": directory / "state",
        "public_url": PUBLIC_URL,
        "tls_certificate": directory / "tls.crt",
        "tls_key": directory / "tls.key",
    }
    if ENGINE == "postgresql":
        fields["database_url"] = database_of(directory, template=_make_template())
    return ControlPlaneSettings.model_validate(fields | changes)


@contextmanager
def open_test_plane(directory: Path, **changes: object) -> Iterator[Plane]:
    settings = make_settings(directory, **changes)
    if settings.database_url is None:
        _place_tables(settings.state_directory)
    with open_plane(settings) as plane:
        yield plane


def _place_tables(directory: Path) -> None:
    """Give a new state directory the tables, which are made once: its first start finds them there."""
    if not directory.exists():
        make_private_directory(directory)
        (directory / DATABASE).write_bytes(_make_tables())


@cache
def _make_template() -> str:
    """Make the same on PostgreSQL; return the name of the database."""
    engine = open_postgresql(make_database(TEMPLATE))
    upgrade_database(engine)
    engine.dispose()
    return TEMPLATE


@cache
def _make_tables() -> bytes:
    """Make the file that the product makes at a first start, before there is anything in it."""
    with TemporaryDirectory() as directory:
        path = Path(directory, DATABASE)
        engine = open_sqlite(path)
        upgrade_database(engine)
        engine.dispose()
        return path.read_bytes()


def add_token(plane: Plane, role: Role = Role.OWNER, name: str = "alice", **fields: object) -> str:
    request = TokenRequest.model_validate({"name": name, "role": role} | fields)
    with plane.sessions.begin() as session:
        return create_token(session, plane.vault, AUTHOR, request)[1]


def add_node_token(plane: Plane, node: str, role: Role = Role.OPERATOR) -> str:
    return add_token(plane, role, f"of {node}", scope_kind=ScopeKind.NODE, scope_name=node)


def add_group_token(plane: Plane, group: str, role: Role = Role.OPERATOR) -> str:
    return add_token(plane, role, f"of {group}", scope_kind=ScopeKind.GROUP, scope_name=group)


def add_node(plane: Plane, name: str, kind: NodeKind = NodeKind.MAIL) -> PrivateKey:
    key = PrivateKey.generate()
    with plane.sessions.begin() as session:
        enrol_node(session, plane.facts, NewNode(name, kind, key.public.x, key_is_replaced=False), AUTHOR)
    return key


def add_group(plane: Plane, name: str, *members: str) -> None:
    with plane.sessions.begin() as session:
        create_group(session, AUTHOR, GroupRequest(name=name))
        for member in members:
            move_node(session, plane.facts, AUTHOR, member, NodeMove(group=name))


@contextmanager
def open_client(plane: Plane, app: FastAPI | None = None, role: Role = Role.OWNER) -> Iterator[TestClient]:
    """A client that is signed in; the hub of the channels runs."""
    application = app or create_app(plane, clock=Clock())
    headers = {"authorization": f"Bearer {add_token(plane, role)}"}
    with TestClient(application, base_url=PUBLIC_URL, headers=headers) as client:
        yield client


@asynccontextmanager
async def serve_plane(plane: Plane, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve over loopback as the daemon does, without TLS if a test has no use for it; yields the port."""
    listener = socket.create_server(("127.0.0.1", port))
    listener.setblocking(False)  # noqa: FBT003 - the library's signature
    bound_port: int = listener.getsockname()[1]
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        await serve_application(stack, create_app(plane), [listener], tls)
        yield bound_port


def make_report(kind: NodeKind = NodeKind.MAIL, **changes: object) -> Report:
    fields: dict[str, object] = {
        "kind": kind,
        "software_version": "0.1.0",
        "applied_revision": 1,
        "started_at_seconds": NOW,
        "public_name": "mail1.example.org" if kind is NodeKind.MAIL else "192.0.2.1",
        "public_port": 443 if kind is NodeKind.MAIL else 3478,
        "overrides": (),
        "problems": (),
        "figures": {"accounts": 3.0},
        "places": MailPlaces(host="mail1.example.org", imap_tls_port=993, smtp_tls_port=465, tls_pin=None)
        if kind is NodeKind.MAIL
        else None,
    }
    return Report.model_validate(fields | changes)


def read_turn_secrets(plane: Plane) -> tuple[str, ...]:
    """Read the TURN secrets that are live, the newest first."""
    with plane.sessions() as session:
        return open_secrets(session, plane.vault).live
