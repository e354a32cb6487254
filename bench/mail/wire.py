"""A client's connection, read line by line with as little work as can be.

For: every load of the bench.
Not for: what is said on it.
"""

import asyncio
import ssl

NO_CHECKS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
NO_CHECKS.check_hostname = False
NO_CHECKS.verify_mode = ssl.CERT_NONE


class BenchError(Exception):
    """The node did not answer as it must for the measurement to mean anything."""


class Wire(asyncio.Protocol):
    """A connection read line by line with as little work as can be."""

    def __init__(self) -> None:
        self._buffer = bytearray(b"\r\n")  # so that each line, the first too, begins behind a line end
        self._waiter: asyncio.Future[None] | None = None
        self._is_lost = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = transport  # type: ignore[assignment] # a stream, as asked for

    def data_received(self, data: bytes) -> None:
        """Wake whoever waits."""
        self._buffer += data
        self._wake()

    def connection_lost(self, _error: Exception | None) -> None:
        """Wake whoever waits: nothing more will come."""
        self._is_lost = True
        self._wake()

    def send(self, data: bytes) -> None:
        """Write without waiting."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close without waiting."""
        if self._transport is not None:
            self._transport.close()

    async def read_past(self, start: bytes) -> bytes:
        """Read up to and with the line that begins like this. Raises: BenchError."""
        marker = b"\r\n" + start
        searched = 0
        while True:
            place = self._buffer.find(marker, searched)
            end = self._buffer.find(b"\r\n", place + len(marker)) if place >= 0 else -1
            if end >= 0:
                data = bytes(self._buffer[2 : end + 2])
                del self._buffer[:end]
                return data
            if self._is_lost:
                raise BenchError(f"the node closed the connection after {bytes(self._buffer)!r}")
            searched = max(0, len(self._buffer) - len(marker)) if place < 0 else place
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def connect(host: str, port: int, local: str | None = None) -> Wire:
    """Open a TLS connection, without a former session. Raises: OSError."""
    _, wire = await asyncio.get_running_loop().create_connection(
        Wire, host, port, ssl=NO_CHECKS, local_addr=None if local is None else (local, 0)
    )
    return wire


def check(line: bytes, code: bytes) -> None:
    """See that a reply has this code. Raises: BenchError."""
    if not line.startswith(code):
        raise BenchError(f"{code.decode()} was expected, and the node said {line.decode().strip()!r}")


def check_tagged(response: bytes) -> bytes:
    """See that a command was carried out. Raises: BenchError."""
    completion = response[response.rfind(b"\r\n", 0, -2) + 2 :] if b"\r\n" in response[:-2] else response
    if completion.split(b" ", 2)[1:2] != [b"OK"]:
        raise BenchError(f"OK was expected, and the node said {completion.decode().strip()!r}")
    return response
