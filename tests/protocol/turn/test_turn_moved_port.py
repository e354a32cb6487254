"""A TURN port that is moved while calls go on: what clients of the former port and of the new one get."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from nodelink.channel.node_files import NodeFiles
from nodelink.contract.documents import DocumentType, sign_document
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.frames import Desired, ReportFrame
from nodelink.contract.reports import Report
from nodelink.contract.states import DesiredState, NodeKind
from nodelink.daemon.tls import read_spki_pin
from self_signed import make_certificate
from support import turn_program
from support.clocks import until
from support.media_streams import MediaStreams
from support.node_channel import CONTROL_KEY, ControlPlane
from support.service_manager import FakeSystemd
from support.turn_client import UDP, TurnClient, status_of
from support.turn_process import make_turn_process
from support.turn_server import SECRET, LoopbackServer, bound, running
from turnnode.settings import TurnNodeSettings
from turnnode.stun.attributes import Address, AttributeType, encode_address, encode_lifetime
from turnnode.stun.message import Method

pytestmark = pytest.mark.anyio

HERE = "127.0.0.1"
CHANNEL = 0x4000
PROGRAM = (sys.executable, turn_program.__file__)
FORWARD_SECONDS = 86_400
RELAY_PORT_MIN = "61000"  # above what the kernel gives to whoever asks for any port


class Site:
    """A server with a call on its first port, whose clock a test moves."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.now = 1000.0
        self.node = LoopbackServer(monotonic=lambda: self.now, forward_seconds=FORWARD_SECONDS)
        self.former = self.node.address
        self.peer = bound(socket.AF_INET, HERE)
        self.peer.settimeout(5)
        self.stack = stack
        stack.callback(self.peer.close)

    async def call(self, server: Address) -> tuple[TurnClient, Address]:
        client = await self.stack.enter_async_context(TurnClient(server, SECRET))
        relay = await client.allocate()
        host, port = self.peer.getsockname()
        assert await client.bind(CHANNEL, (host, port)) == 200
        return client, relay

    async def exchange(self, client: TurnClient, relay: Address) -> None:
        """Send a packet each way."""
        client.send_channel(CHANNEL, b"there")
        assert await asyncio.to_thread(self.peer.recvfrom, 100) == (b"there", relay)
        self.peer.sendto(b"back", relay)
        assert await client.receive_data() == (CHANNEL, b"back")

    def move(self) -> Address:
        """Move to ports that are free; return the new address."""
        listeners = [bound(socket.AF_INET, HERE), bound(socket.AF_INET6, "::1")]
        for listener in listeners:
            self.stack.callback(listener.close)
        self.node.server.move(listeners)
        host, port = listeners[0].getsockname()
        return host, port


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        site = Site(stack)
        await stack.enter_async_context(running(site.node))
        yield site


async def test_call_goes_on_where_it_is_and_new_clients_are_sent_on(site: Site) -> None:
    client, relay = await site.call(site.former)
    new = site.move()

    await site.exchange(client, relay)
    assert status_of(await client.ask(Method.REFRESH)) == 200
    late = await site.stack.enter_async_context(TurnClient(site.former, SECRET))
    answer = await late.ask(Method.ALLOCATE, UDP)
    assert status_of(answer) == 300
    assert answer.find(AttributeType.ALTERNATE_SERVER) == encode_address(new)
    other, other_relay = await site.call(new)
    await site.exchange(other, other_relay)
    await site.exchange(client, relay)


async def test_alternate_server_of_an_ipv6_client_is_an_ipv6_address(site: Site) -> None:
    former = site.node.address_ipv6
    site.move()

    client = await site.stack.enter_async_context(TurnClient(former, SECRET))
    answer = await client.ask(Method.ALLOCATE, UDP)

    value = answer.find(AttributeType.ALTERNATE_SERVER)
    assert value is not None
    assert (len(value), value[1], value[4:]) == (20, 2, socket.inet_pton(socket.AF_INET6, "::1"))


async def test_stranger_hears_nothing_of_the_new_port(site: Site) -> None:
    site.move()

    client = await site.stack.enter_async_context(TurnClient(site.former, "another secret"))

    assert status_of(await client.ask(Method.ALLOCATE, UDP)) == 401


@pytest.mark.parametrize(("passed_seconds", "is_left"), [(-1, False), (0, True), (1, True)])
async def test_former_sockets_without_a_call_are_given_back_after_a_day(
    site: Site, passed_seconds: int, *, is_left: bool
) -> None:
    site.move()
    site.now += FORWARD_SECONDS + passed_seconds
    await asyncio.sleep(0.1)  # ten sweeps

    assert (set(site.node.left) == set(site.node.listeners)) is is_left
    assert bool(site.node.left) is is_left


async def test_former_socket_with_a_call_stays_until_that_has_ended(site: Site) -> None:
    client, relay = await site.call(site.former)
    site.move()
    for _ in range(FORWARD_SECONDS // 500 + 2):  # all lifetimes are short of a day
        site.now += 500
        assert status_of(await client.ask(Method.REFRESH)) == 200
        assert await client.bind(CHANNEL, site.peer.getsockname()) == 200
    await until(lambda: site.node.left == [site.node.listeners[1]])
    await site.exchange(client, relay)

    assert status_of(await client.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))) == 200
    await until(lambda: set(site.node.left) == set(site.node.listeners))


async def test_port_that_is_moved_back_serves_as_before(site: Site) -> None:
    client, relay = await site.call(site.former)
    new = site.move()
    site.node.server.move(site.node.listeners)

    await site.exchange(client, relay)
    other, other_relay = await site.call(site.former)
    await site.exchange(other, other_relay)
    late = await site.stack.enter_async_context(TurnClient(new, SECRET))
    assert status_of(await late.ask(Method.ALLOCATE, UDP)) == 300


async def test_neither_port_can_be_a_peer(site: Site) -> None:
    new = site.move()
    client = await site.stack.enter_async_context(TurnClient(new, SECRET))
    await client.allocate()

    assert await client.bind(CHANNEL, new) == 403
    assert await client.bind(CHANNEL + 1, site.former) == 403


def free_port() -> int:
    with bound(socket.AF_INET, HERE) as one:
        return int(one.getsockname()[1])


def test_calls_of_a_moved_port_survive_the_processes_that_follow(tmp_path: Path) -> None:
    port, alternate = free_port(), free_port()
    environment = {
        "TURNNODE_STATE_DIRECTORY": str(tmp_path / "state"),
        "TURNNODE_LISTEN_ADDRESSES": HERE,
        "TURNNODE_PUBLIC_NAME": HERE,
        "TURNNODE_PORT": str(port),
        "TURNNODE_ALTERNATE_PORTS": str(alternate),
        "TURNNODE_RELAY_PORT_MIN": RELAY_PORT_MIN,
    }
    moved = {turn_program.PORT_VARIABLE: str(alternate)}
    with FakeSystemd(tmp_path, environment=environment) as manager:
        manager.start(*PROGRAM, "serve")
        with MediaStreams((HERE, port), turn_program.SECRET, HERE) as streams:
            for changed in (moved, {}):
                assert manager.reload(*PROGRAM, "take-over", **changed) == 0, manager.read_log()
                assert streams.refresh() == [200] * 4
                assert {f"turn-{port}", f"turn-{alternate}"} <= set(manager.store)


async def test_node_moves_when_its_control_plane_wants_it(tmp_path: Path) -> None:
    files = NodeFiles(tmp_path / "kept")
    control_plane = ControlPlane(*make_certificate(tmp_path, "localhost"), files.load_identity().public)
    alternate, other, closed = free_port(), free_port(), free_port()

    def last() -> Report:
        frame = control_plane.last(ReportFrame)
        assert isinstance(frame, ReportFrame)
        return frame.report

    async def want(revision: int, port: int | None) -> Report:
        desired = DesiredState(
            node="turn1",
            revision=revision,
            issued_at_seconds=0,
            trusted_keys=(CONTROL_KEY.public.x,),
            state=turn_program.WANTED.model_copy(update={"port": port}),
        )
        document = sign_document(CONTROL_KEY, DocumentType.DESIRED_STATE, desired)
        await control_plane.send(Desired(document=document))
        await until(lambda: last().applied_revision == revision)
        return last()

    async with AsyncExitStack() as stack:
        server = await control_plane.open()
        stack.callback(server.close)
        files.keep_enrolment(
            Enrolment(
                node="turn1",
                kind=NodeKind.TURN,
                url=control_plane.url,
                trusted_keys=(CONTROL_KEY.public.x,),
                tls_pin=read_spki_pin(control_plane.certificate),
            )
        )
        node = make_turn_process(
            tmp_path / "turn1",
            files,
            ALTERNATE_PORTS=str(alternate),
            OTHER_UDP_PORTS=str(other),
            RELAY_PORT_MIN=RELAY_PORT_MIN,
        )
        stack.enter_context(node.start())
        await until(lambda: control_plane.last(ReportFrame) is not None)

        report = await want(1, alternate)
        assert (report.public_port, report.ports[0].effective, report.problems) == (alternate, alternate, ())
        assert report.udp_ports == (alternate, other)
        client = await stack.enter_async_context(TurnClient((HERE, alternate), turn_program.SECRET))
        await client.allocate()
        report = await want(2, closed)
        assert report.public_port == node.port
        assert report.udp_ports == (node.port, other)
        assert report.problems == (
            f"Port {closed} is not open on this host. Add it to turnnode_alternate_ports, or reset the port.",
        )
        with bound(socket.AF_INET, HERE) as taken:
            report = await want(3, None)
            assert report.problems == ()
            assert taken.getsockname()[1] not in report.alternate_ports
        assert status_of(await client.ask(Method.REFRESH)) == 200


@pytest.mark.parametrize("alternate", [3478, 49152, 65535])
def test_alternate_port_that_is_used_already_is_refused(tmp_path: Path, alternate: int) -> None:
    settings = {"state_directory": tmp_path, "listen_addresses": "192.0.2.1", "public_name": "192.0.2.1"}
    good = TurnNodeSettings.model_validate(settings | {"alternate_ports": "443,49151"})
    assert good.alternate_ports == (443, 49151)
    with pytest.raises(ValueError, match=f"alternate_ports has {alternate}, which is"):
        TurnNodeSettings.model_validate(settings | {"alternate_ports": str(alternate)})
