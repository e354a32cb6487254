"""Share one TLS listener between HTTP, IMAP and SMTP.

For: port 443, which networks leave open where they close the mail ports. Delta Chat names the protocol by
ALPN in the TLS handshake.
Not for: the protocols themselves, or the listening socket; the daemon opens that with `build_protocol`.

    TLS handshake ──▶ Multiplexer ── ALPN imap ──▶ IMAP
                                  ── ALPN smtp ──▶ SMTP
                                  ── any other ──▶ HTTP      browsers, and clients without ALPN

The transport itself is handed on, so that nothing is copied and each protocol sees the client's own address.

Source: RFC 7301 (ALPN); the names `imap` and `smtp` are Delta Chat's, see its `src/imap/client.rs`.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, Protocol

ALPN_PROTOCOLS: Final = ("imap", "smtp", "http/1.1")

ProtocolBuilder = Callable[[], asyncio.Protocol]


class MailServer(Protocol):
    """A part that speaks one of the mail protocols."""

    def build_protocol(self, *, is_secure: bool) -> asyncio.Protocol:
        """Build the protocol of one new connection, inside TLS or before STARTTLS."""


class WebServer(Protocol):
    """The part that speaks HTTP."""

    def build_protocol(self) -> asyncio.Protocol:
        """Build the protocol of one new connection."""


def offer_protocols(tls: ssl.SSLContext) -> None:
    """Let the TLS context of the shared listener offer what it carries.

    A client that asks for something else only (such as h2) is not refused: it gets no ALPN, hence HTTP.
    """
    tls.set_alpn_protocols(list(ALPN_PROTOCOLS))


class Multiplexer:
    """Builds the first protocol of each connection, which steps aside once ALPN is known."""

    def __init__(self, *, imap: MailServer, smtp: MailServer, http: WebServer) -> None:
        self._http: ProtocolBuilder = http.build_protocol
        self._by_alpn: dict[str | None, ProtocolBuilder] = {
            "imap": lambda: imap.build_protocol(is_secure=True),
            "smtp": lambda: smtp.build_protocol(is_secure=True),
        }

    def build_protocol(self) -> asyncio.Protocol:
        """Build the protocol of one new connection; what `loop.create_server` calls, with `ssl=`."""
        return _Switch(self._choose)

    def _choose(self, alpn: str | None) -> asyncio.Protocol:
        return self._by_alpn.get(alpn, self._http)()


class _Switch(asyncio.Protocol):
    """Lives from the end of the handshake until the transport is handed on, which is the same moment."""

    def __init__(self, choose: Callable[[str | None], asyncio.Protocol]) -> None:
        self._choose = choose

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection: ssl.SSLObject = transport.get_extra_info("ssl_object")
        chosen = self._choose(connection.selected_alpn_protocol())
        transport.set_protocol(chosen)
        chosen.connection_made(transport)
