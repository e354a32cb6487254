"""Follow a process that serves: take its sockets and its place, or leave it alone.

    fork ─▶ our settings, our parts ─▶ take_over ─▶ the daemon finds its way ─▶ commit ─▶ settle
    └─▶ the caller waits, and ends with 0 when we are alone in our place, with 1 when we are gone

For: the command behind ExecReload= of a daemon that hands its work over. systemd starts it with the settings
of now and from the release of now, and shows its failure.
Not for: the process that serves (handover.py), nor what is said (handover_wire.py).
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import structlog

from nodelink.daemon.handover_wire import (
    PROTOCOL,
    SOCKET_NAME,
    HandoverError,
    Packet,
    Word,
    expect,
    open_wire,
    read_service_manager,
    send_packet,
    unpack_sockets,
)
from nodelink.daemon.service_manager import SocketsByName, Systemd, find_runtime_directory

ANSWER_SECONDS = 10
END_SECONDS = 10  # how long the former process may take to end before we go on beside it
EXIT_FAILED = 1

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Succession:
    """The new process's side of the move.

    Args:
        directory: The daemon's runtime directory.
        report: Called when this is the service's main process and the former one has ended.
    """

    def __init__(self, directory: Path, report: Callable[[], None]) -> None:
        self._directory = directory
        self._report = report
        self._wire = open_wire()
        self._wire.settimeout(ANSWER_SECONDS)
        self._manager: Systemd | None = None

    def take_over(self) -> Systemd:
        """Make the former process be still, and take its sockets; what it says to the service manager waits.

        Raises:
            HandoverError: Nobody serves, or the former process does not let go.
        """
        try:
            self._wire.connect(str(self._directory / SOCKET_NAME))
            send_packet(self._wire, Packet(Word.READY, PROTOCOL))
            self._manager = self._receive()
        except OSError as error:
            raise HandoverError(
                f"No process hands its work over ({error.strerror or error}). Restart the service instead."
            ) from error
        return self._manager

    def commit(self) -> None:
        """Take the responsibility: when this returns, only this process reads the sockets.

        Raises:
            HandoverError: The former process serves on.
        """
        try:
            send_packet(self._wire, Packet(Word.TAKEN, str(os.getpid())))
            expect(self._wire, Word.YOURS)
        except OSError as error:
            raise HandoverError("The former process has gone silent, and may serve on.") from error

    async def settle(self) -> None:
        """Wait until the service manager knows this process and the former one has ended.

        Raises:
            HandoverError: The former one ended too early; the service manager then starts the daemon anew.
        """
        loop = asyncio.get_running_loop()
        self._wire.setblocking(False)  # noqa: FBT003 - the library's signature
        with self._wire:
            if not await loop.sock_recv(self._wire, 100):
                raise HandoverError("The former process has ended before this one was in its place.")
            if self._manager is not None:
                self._manager.channel.release()
            try:
                async with asyncio.timeout(END_SECONDS):
                    while await loop.sock_recv(self._wire, 100):
                        pass
            except TimeoutError:
                log.warning("former process goes on")
        self._report()

    def _receive(self) -> Systemd:
        inherited: SocketsByName = {}
        packet = expect(self._wire, Word.SOCKETS, Word.ALL)
        while packet.word is Word.SOCKETS:
            unpack_sockets(packet, inherited)
            packet = expect(self._wire, Word.SOCKETS, Word.ALL)
        address, watchdog_seconds = read_service_manager(packet)
        return Systemd(
            address=address,
            watchdog_seconds=watchdog_seconds,
            inherited=inherited,
            runtime_directory=self._directory,
            is_held=True,
        )


def fork_successor() -> Succession:
    """Go on in a process of its own; only there, this returns.

    The caller's process waits, and ends as the module's picture says.

    Raises:
        HandoverError: The service manager gives no runtime directory, so nobody can be found.
    """
    directory = find_runtime_directory()
    if directory is None:
        raise HandoverError("RUNTIME_DIRECTORY is not set. Reload the service by systemctl instead.")
    reader, writer = os.pipe()
    if os.fork() != 0:
        os.close(writer)
        is_settled = os.read(reader, 1)
        os._exit(0 if is_settled else EXIT_FAILED)
    # Once more, so that nobody but the service manager is our parent, and sees how we end.
    if os.fork() != 0:
        os._exit(0)
    os.close(reader)

    def report() -> None:
        try:
            os.write(writer, b"1")
        except OSError:  # the caller was not patient enough
            log.warning("nobody waits for this process")
        os.close(writer)

    return Succession(directory, report)
