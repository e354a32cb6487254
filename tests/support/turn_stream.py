"""A TURN client over TCP or TLS, and certificates for its server."""

import asyncio
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

from support.turn_client import SOON_SECONDS, TurnClient
from turnnode.relay.streams import ALPN
from turnnode.stun.attributes import Address
from turnnode.stun.framing import StreamFraming, pad_frame


class TurnStreamClient(TurnClient):
    """A client of `turn_client`, with a connection in place of a UDP socket."""

    def __init__(
        self,
        server: Address,
        secret: str,
        *,
        expires_at: float | None = None,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> None:
        super().__init__(server, secret, expires_at=expires_at)
        self._tls = tls
        self._server_name = server_name
        self._framing = StreamFraming()
        self.messages: list[bytes] = []

    async def __aenter__(self) -> Self:
        self.reader, self.writer_stream = await asyncio.open_connection(
            *self._server, ssl=self._tls, server_hostname=self._server_name if self._tls else None
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer_stream.transport.abort()

    @property
    def alpn(self) -> str | None:
        """What was agreed on in the handshake."""
        tls = self.writer_stream.get_extra_info("ssl_object")
        return None if tls is None else tls.selected_alpn_protocol()

    def send(self, datagram: bytes) -> None:
        self.writer_stream.write(pad_frame(datagram))

    async def receive(self) -> bytes:
        async with asyncio.timeout(SOON_SECONDS):
            while not self.messages:
                data = await self.reader.read(65_536)
                if not data:
                    raise EOFError
                self.messages += self._framing.feed(data)
        return self.messages.pop(0)


def client_context(certificate: Path, *alpn: str) -> ssl.SSLContext:
    """Trust one certificate, whatever its name."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def offering(certificate: Path) -> ssl.SSLContext:
    """Offer a certificate, whose key is in the same file, as a TURN node does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(list(ALPN))
    return context
