"""TLS towards the control plane and other nodes: verified by a CA, or by a key that was pinned.

For: whoever dials one of them.
Not for: server certificates (daemon/tls.py).
"""

import ssl
from pathlib import Path

from nodelink.daemon.tls import pin_of


def build_client_context(tls_pin: str | None, ca_file: Path | None = None) -> ssl.SSLContext:
    """Build a context that trusts the key `tls_pin`, or else the CAs in `ca_file` or of the system.

    With a pin, names and dates of the certificate do not count: the key alone says who it is. The handshake
    fails before anything is sent.

    Raises:
        OSError: `ca_file` cannot be read.
    """
    if tls_pin is None:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the pin is checked below, which CERT_REQUIRED would not reach

    class PinnedObject(ssl.SSLObject):
        """A handshake that ends only with the pinned key."""

        def do_handshake(self) -> None:
            super().do_handshake()
            certificate = self.getpeercert(binary_form=True)
            if certificate is None or pin_of(certificate) != tls_pin:
                raise ssl.SSLCertVerificationError("the key is not the one that was pinned")

    context.sslobject_class = PinnedObject
    return context
