"""Hand the work over to a process of another release, so that nobody who is served notices.

    another process connects ──▶ it is ready ──▶ we are still: nothing is read from here on
        ──▶ it has all sockets and has found its way ──▶ it serves, the service manager knows it, we end
        └─▶ anything goes wrong: we serve on as if nothing had been, and say so in the log

For: daemons whose work may not pause (Chassis.on_moved). All between "ready" and "yours" happens in one call,
so that the loop runs nothing else: this is what keeps the sockets still. What arrives waits in them.
Not for: the new process (succession.py), nor what is said (handover_wire.py).
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
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
    pack_sockets,
    send_packet,
    write_service_manager,
)
from nodelink.daemon.service_manager import Systemd

MOVE_SECONDS = 3  # how long one step of the other process may take while nobody serves
SERVICE_MANAGER_SECONDS = 10

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class HandoverOffer:
    """The standing offer of a process that serves; who may enter the runtime directory may accept it.

    Args:
        manager: Whose sockets are handed over.
        moved: Called once the other process serves: from then on nothing of what was handed over is touched.
    """

    def __init__(self, manager: Systemd, moved: Callable[[], None]) -> None:
        self._manager = manager
        self._moved = moved
        self._open: set[socket.socket] = set()
        self._farewell: socket.socket | None = None

    def start(self, stack: AsyncExitStack, directory: Path) -> None:
        """Offer until the stack unwinds."""
        path = directory / SOCKET_NAME
        path.unlink(missing_ok=True)  # of a former process
        listener = open_wire()
        listener.setblocking(False)  # noqa: FBT003 - the library's signature
        listener.bind(str(path))
        listener.listen()
        stack.callback(self._close)
        self._watch(listener, partial(self._accept, listener))

    def _accept(self, listener: socket.socket) -> None:
        try:
            wire, _ = listener.accept()
        except OSError:  # whoever it was has gone
            return
        self._watch(wire, partial(self._answer, wire))

    def _answer(self, wire: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(wire)
        try:
            process = self._offer(wire)
            send_packet(wire, Packet(Word.YOURS))
        except (HandoverError, OSError) as error:
            log.warning("work not handed over", problem=str(error))
            self._open.discard(wire)
            wire.close()
            return
        self._open.discard(wire)
        self._farewell = wire  # it closes with this process, which tells the other one that we have ended
        self._moved()
        self._introduce(process)
        try:
            send_packet(wire, Packet(Word.MAIN))
        except OSError as error:
            log.error("successor has ended", problem=error.strerror)  # noqa: TRY400 - the text says it all
        log.info("work handed over", process=process)

    def _offer(self, wire: socket.socket) -> int:
        """Pass everything on, and return the number of the process that has it."""
        wire.settimeout(MOVE_SECONDS)
        ready = expect(wire, Word.READY)
        if ready.text != PROTOCOL:
            sentence = "The release that runs hands over in another way. Restart the service instead."
            send_packet(wire, Packet(Word.NO, sentence))
            raise HandoverError(f"The other process speaks {ready.text[:20]!r}, we speak {PROTOCOL!r}.")
        for packet in pack_sockets(self._manager.kept):
            send_packet(wire, packet)
        send_packet(wire, write_service_manager(self._manager.address, self._manager.watchdog_seconds))
        taken = expect(wire, Word.TAKEN)
        if not taken.text.isdigit():
            raise HandoverError("The other process does not say which one it is.")
        return int(taken.text)

    def _introduce(self, process: int) -> None:
        """Make another process the service's main one. Only we are believed, until that was read."""
        channel = self._manager.channel
        channel.finish(SERVICE_MANAGER_SECONDS)
        channel.send(f"MAINPID={process}")
        if not channel.wait_until_read(SERVICE_MANAGER_SECONDS):
            log.error("service manager does not answer")

    def _watch(self, opened: socket.socket, reader: Callable[[], None]) -> None:
        self._open.add(opened)
        asyncio.get_running_loop().add_reader(opened, reader)

    def _close(self) -> None:
        for opened in self._open:
            asyncio.get_running_loop().remove_reader(opened)
            opened.close()
