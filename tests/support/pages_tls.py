"""A TLS listener on loopback with a certificate of its own, and clients that trust only that."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailnode.http.multiplexer import offer_protocols
from mailnode.tls_listener import serve

LOOPBACK = "127.0.0.1"


class LoopbackTls:
    """Both ends of TLS on 127.0.0.1; the listener offers what port 443 offers."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "loopback.pem"
        self._file.write_bytes(certify_loopback())
        self.listener = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.listener.load_cert_chain(self._file)
        offer_protocols(self.listener)

    def client(self, *alpn: str) -> ssl.SSLContext:
        """Build a client's context that asks for these protocols, or sends no ALPN at all."""
        context = ssl.create_default_context(cafile=str(self._file))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    @asynccontextmanager
    async def listen(self, build_protocol: Callable[[], asyncio.Protocol]) -> AsyncIterator[int]:
        """Listen on a free port and tell its number."""
        listener = socket.create_server((LOOPBACK, 0))
        port = listener.getsockname()[1]
        serving = await serve(listener, build_protocol, self.listener)
        try:
            yield port
        finally:
            serving.close()


def certify_loopback() -> bytes:
    """Make a certificate for 127.0.0.1, with its key, in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    unprotected = serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, unprotected)
    return private + certificate.public_bytes(encoding)
