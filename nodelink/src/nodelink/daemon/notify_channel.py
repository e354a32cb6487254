"""Pass messages to the service manager, in order, and never wait for it.

For: Systemd (service_manager.py). A daemon may open thousands of sockets a second that are to be kept, while
the service manager has other work: what it does not take at once waits here and is sent when there is room.
Not for: what the messages mean.

    send ──▶ states ─┐  first, because a watchdog waits for them
    send_sockets ──▶ stores ─┴──▶ $NOTIFY_SOCKET, while there is room
"""

import array
import asyncio
import select
import socket
import time
from collections import deque
from collections.abc import Sequence

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Message = tuple[bytes, Sequence[socket.socket]]


class NotifyChannel:
    """A queue before the socket at `address`; an address that begins with `@` is abstract.

    Args:
        address: Where to send; with an empty one, everything is dropped.
        is_held: Whether messages wait until `release`, because nobody would listen to this process yet.
    """

    def __init__(self, address: str, *, is_held: bool = False) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._is_held = is_held
        self._states: deque[Message] = deque()
        self._stores: deque[Message] = deque()
        self._socket: socket.socket | None = None
        self._is_waiting = False
        self._is_failing = False

    @property
    def waiting(self) -> int:
        """How many messages have not been sent yet."""
        return len(self._states) + len(self._stores)

    def send(self, state: str) -> None:
        """Send a state, before all that is about sockets."""
        self._enqueue(self._states, (state.encode(), ()))

    def send_sockets(self, message: str, sockets: Sequence[socket.socket] = ()) -> None:
        """Send what is about sockets. Those that are closed before their turn comes are left out."""
        self._enqueue(self._stores, (message.encode(), tuple(sockets)))

    def release(self) -> None:
        """Send what has waited, and hold nothing any more."""
        self._is_held = False
        self._send_waiting()

    def finish(self, seconds: float) -> bool:
        """Send all that waits, while nothing else runs; tell whether that was done in time."""
        deadline = time.monotonic() + seconds
        while self.waiting and not self._is_held:
            self._send_waiting()
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                break
            if self.waiting and self._socket is not None:
                select.select((), (self._socket,), (), left_seconds)
        return not self.waiting

    def wait_until_read(self, seconds: float) -> bool:
        """Wait until everything that was sent has been acted on, while nothing else runs.

        Source: sd_notify(3), BARRIER=1: the service manager closes its copy of the pipe when it comes to it.
        """
        if not self._address:
            return True
        reader, writer = socket.socketpair()
        with reader:
            with writer:
                self._states.append((b"BARRIER=1", (writer,)))
                is_sent = self.finish(seconds)
            reader.settimeout(seconds)
            try:
                return is_sent and reader.recv(1) == b""
            except TimeoutError:
                return False

    def close(self) -> None:
        """Send nothing any more."""
        self._stop_waiting()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._address = ""
        self._states.clear()
        self._stores.clear()

    def _enqueue(self, queue: "deque[Message]", message: Message) -> None:
        if not self._address:
            return
        queue.append(message)
        if not self._is_waiting:
            self._send_waiting()

    def _send_waiting(self) -> None:
        """Send until nothing waits or there is no room."""
        while self.waiting and not self._is_held:
            queue = self._states or self._stores
            try:
                self._send_one(*queue[0])
            except BlockingIOError:
                self._wait_for_room()
                return
            except OSError as error:  # too many sockets on their way, or nobody there
                if not self._is_failing:
                    log.warning("service manager not told", problem=error.strerror)
                self._is_failing = True
            else:
                self._is_failing = False
            queue.popleft()
        self._stop_waiting()

    def _send_one(self, message: bytes, sockets: Sequence[socket.socket]) -> None:
        descriptors = [kept.fileno() for kept in sockets if kept.fileno() >= 0]
        if sockets and not descriptors:
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self._open().sendmsg([message], rights if descriptors else [])

    def _open(self) -> socket.socket:
        if self._socket is None:
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                channel.setblocking(False)  # noqa: FBT003 - the library's signature
                channel.connect(self._address)
            except OSError:
                channel.close()
                raise
            self._socket = channel
        return self._socket

    def _wait_for_room(self) -> None:
        """Go on when there is room, if a loop runs; whoever calls `finish` waits for itself."""
        if not self._is_waiting and self._socket is not None:
            try:
                asyncio.get_running_loop().add_writer(self._socket, self._send_waiting)
            except RuntimeError:  # no loop runs
                return
            self._is_waiting = True

    def _stop_waiting(self) -> None:
        if self._is_waiting and self._socket is not None:
            asyncio.get_running_loop().remove_writer(self._socket)
            self._is_waiting = False
