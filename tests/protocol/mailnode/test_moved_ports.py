"""A mail node whose ports are moved while it runs: the real program, and a control plane that wants it so."""

import asyncio
import imaplib
import json
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import httpx
import pytest

from nodelink.channel.node_files import NodeFiles
from nodelink.contract.documents import DocumentType, sign_document
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.frames import Desired, ReportFrame
from nodelink.contract.ports import PortReport
from nodelink.contract.reports import Report
from nodelink.contract.states import DesiredState, MailNodeState, MailPorts, NodeKind
from nodelink.daemon.tls import read_spki_pin
from self_signed import make_certificate
from support.clocks import until
from support.mailnode_process import HOST, PORTS, PROGRAM
from support.node_channel import CONTROL_KEY, ControlPlane
from support.service_manager import FakeSystemd

pytestmark = pytest.mark.anyio

ADDRESS = f"alice1234@[{HOST}]"
PASSWORD = "correct horse battery"
NEW_PORTS = ("NEW_IMAP", "NEW_SMTP", "CLOSED")
TLS = ssl._create_unverified_context()  # noqa: S323, SLF001 - the certificate is self-signed
REMEDY = "Add it to mailnode_alternate_ports, or reset the port."
SERVE = (str(PROGRAM), "serve")


@dataclass
class Site:
    """The node under a service manager, and its control plane."""

    control_plane: ControlPlane
    manager: FakeSystemd
    ports: dict[str, int]
    revision: int = field(default=0)

    async def want(self, **wanted: int) -> Report:
        """Want ports moved; return the report that comes with the state."""
        self.revision += 1
        state = MailNodeState(
            registration_open=True,
            jit_enabled=True,
            quota_bytes=1 << 30,
            message_bytes=1 << 25,
            turn=None,
            ports=MailPorts(**wanted),
        )
        desired = DesiredState(
            node="mail1",
            revision=self.revision,
            issued_at_seconds=0,
            trusted_keys=(CONTROL_KEY.public.x,),
            state=state,
        )
        document = sign_document(CONTROL_KEY, DocumentType.DESIRED_STATE, desired)
        await self.control_plane.send(Desired(document=document))
        await until(lambda: self.report().applied_revision == self.revision)
        return self.report()

    def report(self) -> Report:
        frame = self.control_plane.last(ReportFrame)
        assert isinstance(frame, ReportFrame)
        return frame.report

    def told(self, name: str) -> PortReport:
        return next(port for port in self.report().ports if port.name == name)

    async def restart(self) -> None:
        """Replace the process as systemd does."""
        await asyncio.to_thread(self.manager.kill, signal.SIGTERM)
        self.control_plane.heard.clear()
        await asyncio.to_thread(self.manager.start, *SERVE)
        await until(lambda: self.control_plane.last(ReportFrame) is not None)

    def fetch(self, path: str, method: str = "GET") -> httpx.Response:
        return httpx.request(method, f"https://{HOST}:{self.ports['HTTPS_PORT']}{path}", verify=TLS)


@pytest.fixture
def ports() -> dict[str, int]:
    names = (*PORTS, *NEW_PORTS)
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in names]
        return {name: each.getsockname()[1] for name, each in zip(names, sockets, strict=True)}


@pytest.fixture
async def site(tmp_path: Path, ports: dict[str, int]) -> AsyncIterator[Site]:
    certificate, key = make_certificate(tmp_path, "localhost")
    files = NodeFiles(tmp_path / "state" / "node")
    environment = {
        "STATE_DIRECTORY": tmp_path / "state",
        "RUNTIME_DIRECTORY": tmp_path / "admin",
        "MAIL_DOMAIN": f"[{HOST}]",
        "LISTEN_ADDRESSES": HOST,
        "TLS_CERTIFICATE": certificate,
        "TLS_KEY": key,
        "CERTIFICATE_IS_SELF_SIGNED": True,
        "SUPPORT_CONTACT": "mailto:admin@example.org",
        "ALTERNATE_PORTS": f"{ports['NEW_IMAP']},{ports['NEW_SMTP']}",
        **{name: ports[name] for name in PORTS},
    }
    control_plane = ControlPlane(certificate, key, files.load_identity().public)
    async with AsyncExitStack() as stack:
        server = await control_plane.open()
        stack.callback(server.close)
        files.keep_enrolment(
            Enrolment(
                node="mail1",
                kind=NodeKind.MAIL,
                url=control_plane.url,
                trusted_keys=(CONTROL_KEY.public.x,),
                tls_pin=read_spki_pin(certificate),
            )
        )
        variables = {f"MAILNODE_{name}": str(value) for name, value in environment.items()}
        manager = stack.enter_context(FakeSystemd(tmp_path, environment=variables))
        await asyncio.to_thread(manager.start, *SERVE)
        await until(lambda: control_plane.last(ReportFrame) is not None)
        yield Site(control_plane, manager, ports)


def is_closed(port: int) -> bool:
    try:
        socket.create_connection((HOST, port)).close()
    except ConnectionRefusedError:
        return True
    return False


def open_imap(port: int) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(HOST, port, ssl_context=TLS, timeout=10)
    client.login(ADDRESS, PASSWORD)
    return client


async def test_session_goes_on_while_links_and_autoconfig_follow_to_the_new_port(site: Site) -> None:
    old, new = site.ports["IMAP_TLS_PORT"], site.ports["NEW_IMAP"]
    await site.want()
    with open_imap(old) as session:
        report = await site.want(imap_tls=new)

        assert [port.problem for port in report.ports] == [None] * 4
        assert report.places is not None
        assert (report.places.tls_pin, report.places.issuer) == (
            read_spki_pin(site.control_plane.certificate),
            "",
        )
        assert report.places.imap_tls_port == site.told("imap_tls").effective == new
        await until(lambda: is_closed(old))
        assert session.select("INBOX")[0] == "OK"
        with open_imap(new) as other:
            assert other.noop()[0] == "OK"
        check_links(site, new, site.ports["SMTP_TLS_PORT"])

        await site.want(submission_tls=site.ports["NEW_SMTP"])
        check_links(site, old, site.ports["NEW_SMTP"])
        assert session.noop()[0] == "OK"


def check_links(site: Site, imap: int, smtp: int) -> None:
    """See that everything that tells people where to log in names these ports."""
    login = parse_qs(json.loads(site.fetch("/new", "POST").text)["dclogin_url"].partition("?")[2])
    assert (login["ip"], login["sp"]) == ([str(imap)], [str(smtp)])
    document = ET.fromstring(site.fetch("/mail/config-v1.1.xml").text)  # noqa: S314 - our own node's
    ports = [each.text for each in document.iter("port")]
    assert (ports[0], ports[3]) == (str(imap), str(smtp))
    page = site.fetch("/register", "POST").text
    assert f"ip={imap}" in page
    assert f"sp={smtp}" in page


async def test_moved_port_is_kept_over_a_restart_and_nothing_else(site: Site) -> None:
    old, new = site.ports["IMAP_TLS_PORT"], site.ports["NEW_IMAP"]
    await site.want(imap_tls=new)
    await until(lambda: f"imaps-{old}" not in site.manager.store)
    kept = site.manager.store[f"imaps-{new}"].fileno()

    await site.restart()

    assert site.manager.store[f"imaps-{new}"].fileno() == kept  # the very socket, handed on
    assert site.told("imap_tls").effective == new
    assert is_closed(old)
    with open_imap(new) as session:
        assert session.noop()[0] == "OK"


async def test_port_that_cannot_be_had_is_reported_and_the_old_one_stays(site: Site) -> None:
    old, new, closed = site.ports["IMAP_TLS_PORT"], site.ports["NEW_IMAP"], site.ports["CLOSED"]
    report = await site.want(imap_tls=closed)
    assert report.problems == (f"Port {closed} is not open on this host. {REMEDY}",)
    with socket.create_server((HOST, new)):
        report = await site.want(imap_tls=new)
        assert report.problems == (
            f"Cannot listen on {HOST} port {new}: Address already in use. The service stays at port {old}.",
        )
        assert report.places is not None
        assert (report.places.imap_tls_port, site.told("imap_tls").effective) == (old, old)
        with open_imap(old) as session:
            assert session.noop()[0] == "OK"
