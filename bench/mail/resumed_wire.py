"""A client's connection that resumes its last TLS session, as clients do that come back.

For: reconnects; asyncio itself offers no session to a server.
Not for: what is said on it.
"""

import asyncio
import ssl

from mail.wire import NO_CHECKS, Wire

READ_BYTES = 65_536


class ResumedWire(Wire):
    """A wire that does TLS itself; `session` is that of a former connection, or `None`."""

    def __init__(self, session: ssl.SSLSession | None) -> None:
        super().__init__()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = NO_CHECKS.wrap_bio(self._incoming, self._outgoing, session=session)
        self._is_secure = False

    @property
    def session(self) -> ssl.SSLSession | None:
        """What the next connection may begin with; complete once the server has said something."""
        return self._tls.session

    @property
    def is_resumed(self) -> bool:
        """Whether the server has gone on with the former session."""
        return bool(self._tls.session_reused)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        super().connection_made(transport)
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take what has come out of its records."""
        self._incoming.write(data)
        self._go_on()

    def send(self, data: bytes) -> None:
        """Write without waiting; the handshake must be over."""
        self._tls.write(data)
        super().send(self._outgoing.read())

    def _go_on(self) -> None:
        try:
            if not self._is_secure:
                self._tls.do_handshake()
                self._is_secure = True
            while data := self._tls.read(READ_BYTES):
                super().data_received(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.close()
        if self._outgoing.pending:
            super().send(self._outgoing.read())


async def connect_again(host: str, port: int, local: str, session: ssl.SSLSession | None) -> ResumedWire:
    """Open a TLS connection with a former session. Raises: OSError."""
    _, wire = await asyncio.get_running_loop().create_connection(
        lambda: ResumedWire(session), host, port, local_addr=(local, 0)
    )
    return wire
