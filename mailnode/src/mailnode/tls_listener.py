"""Take connections: plain ones by the loop's own server, those in TLS on transports of ours.

    accept ─▶ handshake, within a time ─▶ TlsStream ─▶ its protocol begins
      │          └ it fails, or takes too long: closed, and nobody hears of it
      └ too many from its network: closed

For: whoever has a listening socket (mail_ports.py, daemon.py, exchange/daemon.py).
Not for: making or keeping listening sockets (nodelink.daemon.listeners), or what is spoken on them.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog

from mailnode.accounts.rate_limit import find_prefix
from mailnode.tls_stream import RECORD_BYTES, RECORDS_PER_TURN, Tls, TlsStream

HANDSHAKE_SECONDS: Final = 60
"""As for STARTTLS and the login. When everybody comes back at once, most of the wait is ours: who is cut off
in the middle begins anew, and makes it longer for all."""

FAREWELL_SECONDS: Final = 5
BACKLOG: Final = 4_096
"""How many connections may wait to be taken: after a restart, everybody comes back at once. uvloop would make
it 100 of what the socket had, and who is turned away then tries again after 1, 3 and 7 seconds."""

MAX_ACCEPTS_PER_TURN: Final = 16
"""How many are taken before those who are connected get their turn: a handshake is 0.5 ms of work. Where
nobody is in the middle of one, nobody waits behind the first: it is taken alone, without a look for more."""

CONNECTIONS_PER_PREFIX: Final = 1_016
"""How many one customer's network may have, from the first packet on: who has not shaken hands yet holds a
descriptor and memory, too. Some more than sessions, so that one too many of these hears why it is refused."""

SHORTAGE_SECONDS: Final = 1.0
"""How long nobody is taken when there are no file descriptors or no memory."""

BuildProtocol = Callable[[], asyncio.Protocol]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Serving(Protocol):
    """A listening socket that is served."""

    def close(self) -> None:
        """Listen no more, and close the socket. Connections go on."""


async def serve(listener: socket.socket, build: BuildProtocol, tls: ssl.SSLContext | None) -> Serving:
    """Serve a listening socket; with `tls`, a protocol begins after the handshake."""
    if tls is None:
        return await asyncio.get_running_loop().create_server(build, sock=listener, backlog=BACKLOG)
    return TlsListener(listener, build, tls)


class TlsListener:
    """Takes connections in TLS, from when it is made until it is closed.

    Args:
        listener: A listening socket; it is closed with this.
        build: Makes the protocol of one connection.
        tls: With what the server's half of a handshake is done.
        connections_per_prefix: How many of one customer's network there may be (`find_prefix`).
        handshake_seconds: How long a handshake may take.
        farewell_seconds: How long a client may take to end TLS after we have.
    """

    def __init__(  # noqa: PLR0913 - its bounds
        self,
        listener: socket.socket,
        build: BuildProtocol,
        tls: ssl.SSLContext,
        *,
        connections_per_prefix: int = CONNECTIONS_PER_PREFIX,
        handshake_seconds: float = HANDSHAKE_SECONDS,
        farewell_seconds: float = FAREWELL_SECONDS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._build = build
        self.tls = tls
        self._connections_per_prefix = connections_per_prefix
        self._handshake_seconds = handshake_seconds
        self.farewell_seconds = farewell_seconds
        self.room = memoryview(bytearray(RECORD_BYTES * RECORDS_PER_TURN))
        self._per_prefix: Counter[str] = Counter()
        self._shaking: dict[int, tuple[socket.socket, Tls, Any, float]] = {}
        """Who is in the middle of a handshake, by descriptor: from where, and until when. Oldest first."""
        self._timer: asyncio.TimerHandle | None = None
        listener.setblocking(False)  # noqa: FBT003 - its own signature
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what it accepts inherits this
        listener.listen(BACKLOG)
        self._loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Listen no more. Who is in the middle of a handshake is let go, others stay."""
        if self._listener.fileno() < 0:
            return
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for fd in list(self._shaking):
            self._drop(fd)
        if self._timer is not None:
            self._timer.cancel()

    def forget(self, peer: Any) -> None:  # noqa: ANN401 - an address of any family
        """Count a connection no more; its stream says so."""
        prefix = find_prefix(peer[0])
        left = self._per_prefix.pop(prefix) - 1
        if left:
            self._per_prefix[prefix] = left

    def _accept(self) -> None:
        for _ in range(min(1 + len(self._shaking), MAX_ACCEPTS_PER_TURN)):
            try:
                wire, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("no connection can be taken", error=str(error))
                self._loop.remove_reader(self._listener.fileno())
                self._loop.call_later(SHORTAGE_SECONDS, self._accept_again)
                return
            if self._per_prefix[find_prefix(peer[0])] < self._connections_per_prefix:
                self._begin(wire, peer)
            else:
                wire.close()

    def _accept_again(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _begin(self, wire: socket.socket, peer: Any) -> None:  # noqa: ANN401 - an address of any family
        wire.setblocking(False)  # noqa: FBT003 - its own signature
        try:
            # What `wrap_socket` makes an SSLSocket around: that would take six system calls more, and for
            # each record two calls of Python.
            tls: Tls = self.tls._wrap_socket(wire, server_side=True)  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        except OSError:  # ssl.SSLError is one: no memory
            wire.close()
            return
        self._per_prefix[find_prefix(peer[0])] += 1
        fd = wire.fileno()
        due = self._loop.time() + self._handshake_seconds
        self._shaking[fd] = (wire, tls, peer, due)
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._end_late)
        self._loop.add_reader(fd, self._shake, fd)

    def _shake(self, fd: int) -> None:
        """Go on with a handshake."""
        wire, tls, peer, _ = self._shaking[fd]
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self._loop.remove_reader(fd)
            self._loop.add_writer(fd, self._shake_again, fd)
            return
        except OSError:  # ssl.SSLError is one
            self._drop(fd)
            return
        del self._shaking[fd]
        TlsStream(wire, tls, peer, self).start(self._build())

    def _shake_again(self, fd: int) -> None:
        """Go on when the kernel takes more."""
        self._loop.remove_writer(fd)
        self._loop.add_reader(fd, self._shake, fd)
        self._shake(fd)

    def _drop(self, fd: int) -> None:
        wire, _, peer, _ = self._shaking.pop(fd)
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        wire.close()
        self.forget(peer)

    def _end_late(self) -> None:
        """End handshakes that take too long, and come again when the next one is due."""
        now = self._loop.time()
        self._timer = None
        for fd, (*_, due) in list(self._shaking.items()):
            if due > now:
                self._timer = self._loop.call_at(due, self._end_late)
                return
            self._drop(fd)
