"""Open the sockets that clients come in by, from what the host says.

    settings ─▶ UDP: others than `port`     TCP     TLS ports, with the host's certificate

For: the daemon. All of them are kept by the service manager while the process is replaced.
Not for: serving them (relay/), nor for the UDP port that can be moved (turn_port.py).
"""

import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from nodelink.daemon.listeners import bind_udp, listen_tcp
from nodelink.daemon.service_manager import ServiceManager
from nodelink.daemon.tls import ServerCertificate
from turnnode.relay.sockets import RelayAddress
from turnnode.relay.streams import ALPN, StreamListener
from turnnode.settings import TurnNodeSettings
from turnnode.turn_port import KEPT_NAME


@dataclass(slots=True)
class ClientSockets:
    """What is open to clients; `certificate` is `None` where there is no TLS."""

    datagrams: list[socket.socket] = field(default_factory=list)
    streams: list[StreamListener] = field(default_factory=list)
    certificate: ServerCertificate | None = None


def open_client_sockets(
    stack: AsyncExitStack, manager: ServiceManager, settings: TurnNodeSettings
) -> ClientSockets:
    """Open them; they are closed with `stack`. Before `TurnPort`, which takes what of UDP is left over.

    Raises:
        ListenError: One cannot be opened.
        CertificateError: TLS is set, and its certificate cannot be used.
    """
    opened = ClientSockets()
    for port in settings.other_udp_ports:
        opened.datagrams += bind_udp(manager, KEPT_NAME, settings.listen_addresses, port)
    if settings.tcp_port is not None:
        for listener in listen_tcp(manager, "turn-tcp", settings.listen_addresses, settings.tcp_port):
            opened.streams.append(StreamListener(listener))
    if settings.tls_certificate is not None and settings.tls_key is not None and settings.tls_ports:
        opened.certificate = ServerCertificate(settings.tls_certificate, settings.tls_key)
        tls = opened.certificate.build_context(ALPN)
        for port in settings.tls_ports:
            for listener in listen_tcp(manager, "turn-tls", settings.listen_addresses, port):
                opened.streams.append(StreamListener(listener, tls))
    for listener in (*opened.datagrams, *(stream.socket for stream in opened.streams)):
        stack.callback(listener.close)
    return opened


def list_relay_addresses(settings: TurnNodeSettings) -> list[RelayAddress]:
    """List where to relay from, and what clients are told instead behind a NAT."""
    bound = settings.relay_addresses or settings.listen_addresses
    published = settings.published_addresses or bound
    return [RelayAddress(bound=one, published=other) for one, other in zip(bound, published, strict=True)]
