"""The queue before the service manager: in order, states first, and never waiting for it."""

import array
import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nodelink.daemon.notify_channel import NotifyChannel

pytestmark = pytest.mark.anyio

MANY = 2000
"""More than the kernel keeps for a reader who is busy."""


class Manager:
    """A service manager that reads when it is told to."""

    def __init__(self, address: Path) -> None:
        self.address = str(address)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.socket.setblocking(False)  # noqa: FBT003 - the library's signature

    def read(self) -> list[tuple[str, int]]:
        """Read all that has come: each message, and how many descriptors were with it."""
        heard: list[tuple[str, int]] = []
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 10)
            except BlockingIOError:
                return heard
            for descriptor in descriptors:
                socket.close(descriptor)
            heard.append((data.decode(), len(descriptors)))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.socket.close()


@pytest.fixture
def channel(manager: Manager) -> Iterator[NotifyChannel]:
    channel = NotifyChannel(manager.address)
    yield channel
    channel.close()


@pytest.fixture
def kept() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kept:
        yield kept


async def read_all(manager: Manager, channel: NotifyChannel) -> list[tuple[str, int]]:
    heard = manager.read()
    async with asyncio.timeout(5):
        while channel.waiting:
            await asyncio.sleep(0)
            heard += manager.read()
    return heard + manager.read()


async def test_messages_arrive_in_order_with_their_sockets(
    manager: Manager, channel: NotifyChannel, kept: socket.socket
) -> None:
    channel.send("READY=1")
    channel.send_sockets("FDSTORE=1", [kept])
    channel.send_sockets("FDSTOREREMOVE=1")

    assert manager.read() == [("READY=1", 0), ("FDSTORE=1", 1), ("FDSTOREREMOVE=1", 0)]


async def test_what_a_busy_manager_does_not_take_is_sent_when_it_reads(
    manager: Manager, channel: NotifyChannel, kept: socket.socket
) -> None:
    for number in range(MANY):
        channel.send_sockets(f"FDNAME={number}", [kept])
    assert channel.waiting > 0

    heard = await read_all(manager, channel)

    assert heard == [(f"FDNAME={number}", 1) for number in range(MANY)]


async def test_a_state_goes_before_the_sockets_that_wait(
    manager: Manager, channel: NotifyChannel, kept: socket.socket
) -> None:
    for number in range(MANY):
        channel.send_sockets(f"FDNAME={number}", [kept])
    waiting = channel.waiting
    channel.send("WATCHDOG=1")

    heard = [message for message, _ in await read_all(manager, channel)]

    assert heard.index("WATCHDOG=1") == MANY - waiting


async def test_socket_that_is_closed_before_its_turn_is_left_out(
    manager: Manager, channel: NotifyChannel, kept: socket.socket
) -> None:
    for number in range(MANY):
        channel.send_sockets(f"FDNAME={number}", [kept])
    kept.close()

    assert len(await read_all(manager, channel)) < MANY


async def test_held_messages_wait_for_their_release(manager: Manager) -> None:
    channel = NotifyChannel(manager.address, is_held=True)
    channel.send("READY=1")
    assert not channel.finish(0.01)
    assert manager.read() == []

    channel.release()

    assert manager.read() == [("READY=1", 0)]
    channel.close()


async def test_nobody_there_is_said_once_and_stops_nothing(tmp_path: Path) -> None:
    channel = NotifyChannel(str(tmp_path / "nobody"))
    with capture_logs() as logs:
        for _ in range(3):
            channel.send("WATCHDOG=1")

    assert channel.waiting == 0
    assert [entry["event"] for entry in logs] == ["service manager not told"]
    channel.close()


async def test_without_an_address_nothing_is_kept() -> None:
    channel = NotifyChannel("")
    channel.send("READY=1")

    assert channel.waiting == 0
    assert channel.wait_until_read(0)


async def test_barrier_holds_until_the_manager_has_read(manager: Manager, channel: NotifyChannel) -> None:
    assert not channel.wait_until_read(0.05)
    manager.read()

    def obey() -> None:
        manager.socket.setblocking(True)  # noqa: FBT003 - the library's signature
        _, descriptors, _, _ = socket.recv_fds(manager.socket, 4096, 10)
        for descriptor in array.array("i", descriptors):
            socket.close(descriptor)

    obeying = asyncio.get_running_loop().run_in_executor(None, obey)

    assert channel.wait_until_read(5)
    await obeying


async def test_finish_tells_whether_all_was_sent(
    manager: Manager, channel: NotifyChannel, kept: socket.socket
) -> None:
    for number in range(MANY):
        channel.send_sockets(f"FDNAME={number}", [kept])

    assert not channel.finish(0.05)
    assert len(await read_all(manager, channel)) == MANY
    assert channel.finish(0)
