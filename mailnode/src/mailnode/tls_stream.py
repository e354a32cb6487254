"""A TLS connection of a client as a transport of asyncio, straight on its socket.

    socket readable ─▶ OpenSSL reads and decrypts ─▶ data_received ┐ what is written meanwhile
    socket writable ◀─ OpenSSL encrypts and sends ◀── write ◀──────┘ leaves as one record

For: tls_listener.py, which makes one for each client after its handshake.
Not for: plain connections, STARTTLS and clients of ours; the loop's own transports do for these.

Why not the loop's: uvloop and asyncio put TLS on top of a plain transport and copy each record through two
memory buffers, one of them of 256 KiB a session. A session that waits took 38 KiB more with it, a short
record four times the CPU (docs/measured/mail.md).

Source: SSL_read(3), SSL_write(3), SSL_shutdown(3); asyncio's Transport, whose contract this keeps.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol

RECORD_BYTES: Final = 16_384
"""What OpenSSL gives at once, at most (RFC 8446 section 5.1)."""

RECORDS_PER_TURN: Final = 4
SENT_PER_TURN_BYTES: Final = 262_144
"""How much of one client is read and sent before all others get their turn."""

HIGH_WATER_BYTES: Final = 65_536
"""How much may wait to be sent until the protocol is asked to pause; below a quarter, it goes on."""


class Tls(Protocol):
    """A TLS connection of Python's `ssl` straight on a socket that does not block, as `SSLSocket` has one.

    Each method raises an `OSError`: ssl.SSLWantReadError and SSLWantWriteError where it has to wait.
    """

    def do_handshake(self) -> None:
        """Go on with the handshake."""

    def read(self, length: int, buffer: memoryview, /) -> int:
        """Read one record, or what of it has room; 0 at the end. Raises: SSLEOFError, where TLS has none."""

    def write(self, data: bytes | memoryview, /) -> int:
        """Send; tell how much was sent."""

    def shutdown(self) -> socket.socket:
        """End TLS, and wait for the client to do so."""


class Owner(Protocol):
    """The listener, as its streams see it."""

    @property
    def tls(self) -> ssl.SSLContext:
        """What its connections are made with."""

    @property
    def room(self) -> memoryview:
        """Where records are read into, for all streams of one loop in turn; RECORDS_PER_TURN records."""

    @property
    def farewell_seconds(self) -> float:
        """How long a client may take to end TLS after we have."""

    def forget(self, peer: Any) -> None:  # noqa: ANN401 - an address of any family
        """Hear that a connection is over."""


class TlsStream(asyncio.Transport):
    """One connection, after its handshake. Slots, because there are thousands that only wait.

    Args:
        wire: The socket, which does not block.
        tls: TLS on it.
        peer: Whose it is, as `accept` told.
        owner: Who has taken it.
    """

    __slots__ = (
        "_fd",
        "_high_water",
        "_is_closing",
        "_is_corked",
        "_is_lost",
        "_is_paused",
        "_is_reading",
        "_is_sending",
        "_loop",
        "_low_water",
        "_owner",
        "_peer",
        "_protocol",
        "_timer",
        "_tls",
        "_unsent",
        "_unsent_bytes",
        "_wire",
    )

    def __init__(self, wire: socket.socket, tls: Tls, peer: Any, owner: Owner) -> None:  # noqa: ANN401 - an address of any family
        # Not super().__init__(), which makes a dictionary of what `get_extra_info` tells.
        self._loop = asyncio.get_running_loop()
        self._wire = wire
        self._tls = tls
        self._fd = wire.fileno()
        self._peer = peer
        self._owner = owner
        self._protocol: asyncio.Protocol | None = None
        self._unsent: list[bytes | memoryview] = []  # a few at most; an empty deque would take 600 bytes
        self._unsent_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = self._is_lost = False
        self._is_corked = False
        self._is_reading = self._is_sending = False
        self._is_paused = False
        self.set_write_buffer_limits()

    def start(self, protocol: asyncio.Protocol) -> None:
        """Begin to serve; what the client has sent with its handshake comes at the next turn of the loop."""
        self._protocol = protocol
        self.resume_reading()
        self._call(protocol.connection_made, self)

    # Who serves the connection calls these, as those of any transport.

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as of any transport
        """Tell `peername`, `sockname`, `socket`, `sslcontext` or `ssl_object`."""
        match name:
            case "peername":
                return self._peer
            case "ssl_object":
                return self._tls
            case "socket":
                return self._wire
            case "sslcontext":
                return self._owner.tls
            case "sockname":
                return self._wire.getsockname()
            case _:
                return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection on."""
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError("a stream needs a protocol that takes data")
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Tell who has the connection."""
        if self._protocol is None:
            raise RuntimeError("the connection is over")
        return self._protocol

    def is_closing(self) -> bool:
        """Tell whether it is over, or soon will be."""
        return self._is_closing

    def is_reading(self) -> bool:
        """Tell whether what the client sends is received."""
        return self._is_reading and not self._is_closing

    def pause_reading(self) -> None:
        """Leave what comes in the kernel, and soon with the client."""
        if self._is_reading and not self._is_closing:
            self._is_reading = False
            self._loop.remove_reader(self._fd)

    def resume_reading(self) -> None:
        """Receive again."""
        if not self._is_reading and not self._is_closing:
            self._is_reading = True
            self._loop.add_reader(self._fd, self._read)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how much may wait to be sent until the protocol is asked to pause, and to go on."""
        self._high_water = HIGH_WATER_BYTES if high is None else high
        self._low_water = self._high_water // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """Tell how many bytes wait to be sent."""
        return self._unsent_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Tell below how many bytes the protocol goes on, and above how many it is to pause."""
        return self._low_water, self._high_water

    def can_write_eof(self) -> bool:
        """Tell that one direction cannot be closed alone."""
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send at once what the kernel takes, and the rest when it takes more; nothing once it is closing."""
        if self._is_closing or not data:
            return
        self._unsent.append(bytes(data))
        self._unsent_bytes += len(data)
        if not self._is_sending and (not self._is_corked or self._unsent_bytes >= RECORD_BYTES):
            self._send()
        if not self._is_paused and self._unsent_bytes > self._high_water and self._protocol is not None:
            self._is_paused = True
            self._call(self._protocol.pause_writing)

    def close(self) -> None:
        """Send what waits, end TLS, and wait a little for the client to do so, too."""
        if self._is_closing:
            return
        if self._unsent:
            self.pause_reading()
        self._is_closing = True
        if not self._unsent:
            self._say_farewell()
        if not self._is_lost:
            self._timer = self._loop.call_later(
                self._owner.farewell_seconds, self._look_back, self._unsent_bytes
            )

    def abort(self) -> None:
        """Close without another word."""
        self._lose(None)

    # The loop calls these.

    def _read(self) -> None:
        if not self.is_reading():  # this was due already when it was paused
            return
        data = self._receive()
        if data is None or self._protocol is None:
            return
        self._is_corked = True
        if data:
            self._call(self._protocol.data_received, data)
        else:
            self._call(self._protocol.eof_received)
        self._is_corked = False
        if not data:
            self.close()
        if self._unsent and not self._is_sending and not self._is_lost:
            self._send()

    def _discard(self) -> None:
        """Read on to the client's own end, so that what it has not read yet is not lost by a reset."""
        if self._receive() == b"":
            self._lose(None)

    def _receive(self) -> bytes | None:
        """Read what is here, a few records at most: `b""` at the end, `None` when it is nothing."""
        room, filled = self._owner.room, 0
        try:
            while filled < len(room):
                count = self._tls.read(RECORD_BYTES, room[filled:])
                filled += count
                if count < RECORD_BYTES:  # the last that is here
                    if not count and filled:  # or the end, which has its own turn
                        self._loop.call_soon(self._read)
                    break
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if not filled:
                return None
        except ssl.SSLZeroReturnError:  # the end, after we have ended our side
            return b""
        except ssl.SSLEOFError:  # the end, too, though TLS goes on
            if filled:
                self._loop.call_soon(self._read)
        except OSError as error:
            self._lose(error)
            return None
        return bytes(room[:filled])

    def _send(self) -> None:
        """Send what waits, and let the loop say when the kernel takes more."""
        unsent = self._unsent
        if len(unsent) > 1 and self._unsent_bytes <= RECORD_BYTES:  # one record; a repetition may be longer
            together = b"".join(unsent)
            unsent.clear()
            unsent.append(together)
        budget = SENT_PER_TURN_BYTES
        try:
            while unsent and budget > 0:
                first = unsent[0]
                count = self._tls.write(first)
                budget -= count
                self._unsent_bytes -= count
                if count == len(first):
                    del unsent[0]
                else:
                    unsent[0] = memoryview(first)[count:]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            self._lose(error)
            return
        self._expect_room(bool(unsent))
        if self._is_paused and self._unsent_bytes <= self._low_water and self._protocol is not None:
            self._is_paused = False
            self._call(self._protocol.resume_writing)
        if self._is_closing and not unsent:
            self._say_farewell()

    # Ours

    def _expect_room(self, is_wanted: bool) -> None:  # noqa: FBT001 - two calls, both here
        if is_wanted == self._is_sending:
            return
        self._is_sending = is_wanted
        if is_wanted:
            self._loop.add_writer(self._fd, self._send)
        else:
            self._loop.remove_writer(self._fd)

    def _look_back(self, unsent_bytes: int) -> None:
        """Cut off a client that has taken nothing for a while, or does not end TLS."""
        if 0 < self._unsent_bytes < unsent_bytes:
            self._timer = self._loop.call_later(
                self._owner.farewell_seconds, self._look_back, self._unsent_bytes
            )
        else:
            self._lose(None)

    def _say_farewell(self) -> None:
        if self._is_lost:
            return
        try:
            self._tls.shutdown()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self._is_reading = True
            self._loop.add_reader(self._fd, self._discard)
        except OSError as error:
            self._lose(error)
        else:
            self._lose(None)

    def _lose(self, error: OSError | None) -> None:
        if self._is_lost:
            return
        if self._is_closing:  # then how it ends is no news
            error = None
        self._is_lost = self._is_closing = True
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._fd)
        self._expect_room(is_wanted=False)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unsent.clear()
        self._unsent_bytes = 0
        self._loop.call_soon(self._end, error)

    def _end(self, error: OSError | None) -> None:
        protocol, self._protocol = self._protocol, None
        try:
            if protocol is not None:
                protocol.connection_lost(error)
        finally:
            self._wire.close()
            self._owner.forget(self._peer)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call the protocol; a fault of its own ends this connection, and the loop reports it."""
        try:
            function(*arguments)
        except Exception:
            self._is_corked = False
            self._lose(None)
            raise
