"""Listening for mail clients while ports are moved, with small servers that say who they are."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from mailnode.mail_ports import MailListeners, Service
from mailnode.settings import MailNodeSettings
from nodelink.contract.ports import PORTS, PortName
from nodelink.contract.states import MailPorts, NodeKind
from nodelink.daemon.service_manager import Systemd
from support.clocks import SOON_SECONDS, until

pytestmark = pytest.mark.anyio

HOST = "127.0.0.1"
MANY = 400
"""More than uvloop lets wait by default."""
ALTERNATES = ("one", "other", "third")


class Greeter(asyncio.Protocol):
    """Says which service it is, and sends back what it is told."""

    def __init__(self, name: PortName) -> None:
        self._name = name
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class
        self._transport.write(self._name.encode())

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)


async def read(port: int) -> str:
    """Read who greets at a port; "" where nobody listens."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except ConnectionRefusedError:
        return ""
    async with asyncio.timeout(SOON_SECONDS):
        greeting = await reader.read(100)
    writer.close()
    await writer.wait_closed()
    return greeting.decode()


class Site:
    """The listeners on ports that are free."""

    def __init__(self, directory: Path) -> None:
        names = (*PORTS[NodeKind.MAIL], "https", *ALTERNATES)
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in names]
            self.ports = {str(name): each.getsockname()[1] for name, each in zip(names, sockets, strict=True)}
        settings = {
            "state_directory": directory,
            "runtime_directory": directory,
            "mail_domain": "example.org",
            "listen_addresses": HOST,
            "smtp_tls_port": self.ports["submission_tls"],
            "smtp_starttls_port": self.ports["submission"],
            "imap_tls_port": self.ports["imap_tls"],
            "imap_starttls_port": self.ports["imap"],
            "https_port": self.ports["https"],
            "alternate_ports": ",".join(str(self.ports[name]) for name in ALTERNATES),
            "tls_certificate": directory / "none",
            "tls_key": directory / "none",
            "support_contact": "mailto:admin@example.org",
        }
        self.manager = Systemd(address="", watchdog_seconds=None)
        self.listeners = MailListeners(MailNodeSettings.model_validate(settings), self.manager, 0.05)

    async def start(self, stack: AsyncExitStack) -> None:
        services = {name: Service(partial(Greeter, name), None) for name in PORTS[NodeKind.MAIL]}
        await self.listeners.start(stack, services)

    def want(self, **places: str) -> None:
        self.listeners.want(MailPorts(**{name: self.ports[place] for name, place in places.items()}))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    async with AsyncExitStack() as stack:
        await site.start(stack)
        yield site


def is_let_go(site: Site, name: PortName) -> bool:
    return not any(kept.endswith(f"-{site.ports[name]}") for kept in site.manager.kept)


async def test_each_service_moves_by_itself(site: Site) -> None:
    for name in PORTS[NodeKind.MAIL]:
        site.want(**{name: "one"})
        assert site.listeners.find_port(name) == site.ports["one"]
        await until(partial(is_let_go, site, name))
        assert await read(site.ports["one"]) == name
        assert await read(site.ports[name]) == ""
        site.want()
        await until(lambda: not any(f"-{site.ports['one']}" in kept for kept in site.manager.kept))
        assert await read(site.ports[name]) == name
        assert await read(site.ports["one"]) == ""
    assert site.listeners.list_problems() == []


async def test_connection_outlives_the_port_on_which_it_came(site: Site) -> None:
    reader, writer = await asyncio.open_connection(HOST, site.ports["imap_tls"])
    assert await reader.read(100) == b"imap_tls"

    site.want(imap_tls="one")
    await until(lambda: f"imaps-{site.ports['imap_tls']}" not in site.manager.kept)
    site.want(imap_tls="other")
    await until(lambda: f"imaps-{site.ports['one']}" not in site.manager.kept)

    writer.write(b"still there")
    assert await reader.read(100) == b"still there"
    writer.close()
    await writer.wait_closed()


async def test_everybody_may_come_back_at_once(site: Site) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(MANY)]
        for client in clients:  # without a turn of the loop: all of them wait to be taken
            client.settimeout(SOON_SECONDS)
            client.connect((HOST, site.ports["imap_tls"]))
        for client in clients:
            assert await asyncio.to_thread(client.recv, 100) == b"imap_tls"


async def test_two_that_want_one_anothers_place_stay_until_one_gives_way(site: Site) -> None:
    site.want(imap="one", imap_tls="other")
    await until(lambda: len([name for name in site.manager.kept if name.startswith("imap")]) == 2)
    site.want(imap="other", imap_tls="one")

    assert len(site.listeners.list_problems()) == 2
    assert await read(site.ports["one"]) == "imap"
    site.want(imap="other", imap_tls="third")
    await until(lambda: site.listeners.find_port(PortName.IMAP) == site.ports["other"])
    assert site.listeners.list_problems() == []
    await until(lambda: site.listeners.find_port(PortName.IMAP_TLS) == site.ports["third"])
    assert await read(site.ports["other"]) == "imap"
    assert await read(site.ports["third"]) == "imap_tls"


async def test_port_in_use_is_taken_once_it_is_free(site: Site) -> None:
    with socket.create_server((HOST, site.ports["one"])):
        site.want(imap_tls="one")
        (problem,) = site.listeners.list_problems()
        assert "Address already in use" in problem
        assert await read(site.ports["imap_tls"]) == "imap_tls"
        assert not [name for name in site.manager.kept if name.endswith(f"-{site.ports['one']}")]

    await until(lambda: site.listeners.list_problems() == [])
    await until(lambda: f"imaps-{site.ports['imap_tls']}" not in site.manager.kept)
    assert await read(site.ports["one"]) == "imap_tls"


@pytest.mark.parametrize(("alternates", "is_good"), [("8993,8465", True), ("993", False), ("443", False)])
def test_alternate_port_that_is_another_setting_is_refused(
    tmp_path: Path, alternates: str, *, is_good: bool
) -> None:
    settings = {
        "state_directory": tmp_path,
        "runtime_directory": tmp_path,
        "mail_domain": "example.org",
        "alternate_ports": alternates,
        "tls_certificate": tmp_path / "none",
        "tls_key": tmp_path / "none",
        "support_contact": "mailto:admin@example.org",
    }
    if is_good:
        assert MailNodeSettings.model_validate(settings).alternate_ports == (8993, 8465)
        return
    with pytest.raises(ValueError, match=f"alternate_ports has {alternates}, which another port setting"):
        MailNodeSettings.model_validate(settings)


def test_at_most_64_alternate_ports_are_taken(tmp_path: Path) -> None:
    def read_settings(count: int) -> MailNodeSettings:
        return MailNodeSettings.model_validate(
            {
                "state_directory": tmp_path,
                "runtime_directory": tmp_path,
                "mail_domain": "example.org",
                "alternate_ports": tuple(range(8000, 8000 + count)),
                "tls_certificate": tmp_path / "none",
                "tls_key": tmp_path / "none",
                "support_contact": "mailto:admin@example.org",
            }
        )

    assert len(read_settings(63).alternate_ports) == 63
    assert len(read_settings(64).alternate_ports) == 64
    with pytest.raises(ValueError, match="at most 64"):
        read_settings(65)
