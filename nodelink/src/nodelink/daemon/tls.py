"""Server certificates that are replaced without a restart, and the pin of a certificate's key.

For: every TLS listener of ours. A new certificate holds for the next handshake; open connections stay.
Not for: getting certificates (Ansible does), nor TLS as a client (channel/client_tls.py).
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import Certificate, NameOID, load_der_x509_certificate, load_pem_x509_certificate

from nodelink.daemon.errors import HostError
from nodelink.daemon.tasks import open_task_group

RELOAD_SECONDS = 10

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class CertificateError(HostError):
    """A certificate cannot be used; the text names the file and the remedy."""


@dataclass(slots=True)
class ServerCertificate:
    """A certificate with its key, and the contexts that offer it."""

    certificate: Path
    key: Path
    reload_seconds: float = RELOAD_SECONDS
    _contexts: list[ssl.SSLContext] = field(init=False, default_factory=list)
    _loaded: tuple[int, int] = field(init=False, default=(0, 0))

    def build_context(self, alpn: Sequence[str] = ()) -> ssl.SSLContext:
        """Build a context that offers the certificate, and always the newest one.

        Raises:
            CertificateError: The files are missing, do not belong together, or are no certificate.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self._load(context)
        self._contexts.append(context)
        self._loaded = self._read_times()
        return context

    async def start(self, stack: AsyncExitStack) -> None:
        """Look for a new certificate from time to time, until the stack unwinds."""
        spawn = await open_task_group(stack)
        spawn(self._watch())

    def reload(self) -> None:
        """Offer what the files hold now; if that is broken, log it and go on with what is loaded."""
        try:
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # a context must not be left half loaded
            for context in self._contexts:
                self._load(context)
            self._loaded = self._read_times()
        except (CertificateError, OSError) as error:
            log.error("certificate not reloaded", problem=str(error))  # noqa: TRY400 - the text says it all
        else:
            log.info("certificate reloaded", file=str(self.certificate))

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise CertificateError(
                f"The certificate {self.certificate} with key {self.key} cannot be used: {error}."
            ) from error

    def _read_times(self) -> tuple[int, int]:
        return self.certificate.stat().st_mtime_ns, self.key.stat().st_mtime_ns

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.reload_seconds)
            try:
                is_changed = self._read_times() != self._loaded
            except OSError:
                continue  # it is just being replaced
            if is_changed:
                self.reload()


def read_spki_pin(certificate: Path) -> str:
    """Compute the SHA-256 of a certificate's public key, as contract.states.SpkiPin.

    Raises:
        CertificateError: The file holds no certificate.
    """
    return _pin(_read_leaf(certificate))


def read_self_signed_pin(certificate: Path) -> str | None:
    """Compute the pin of a certificate that only its own key vouches for; `None` for that of an authority.

    Raises:
        CertificateError: The file holds no certificate.
    """
    leaf = _read_leaf(certificate)
    return _pin(leaf) if leaf.issuer == leaf.subject else None


def read_issuer(certificate: Path) -> str:
    """Read the name of the organisation whose CA has issued a certificate; "" where it names none.

    Raises:
        CertificateError: The file holds no certificate.
    """
    names = _read_leaf(certificate).issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(names[0].value) if names else ""


def pin_of(certificate_der: bytes) -> str:
    """Compute the SHA-256 of a certificate's public key. Raises: ValueError."""
    return _pin(load_der_x509_certificate(certificate_der))


def _read_leaf(file: Path) -> Certificate:
    try:
        return load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(f"{file} holds no certificate in PEM form.") from error


def _pin(leaf: Certificate) -> str:
    key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(key).hexdigest()
