"""Look at the certificate that a host serves: `look.py ADDRESS NAME ROOT` prints its fingerprint.

Fails unless the authority whose root is in the file ROOT vouches for it, and for NAME alone.
"""

import hashlib
import socket
import ssl
import sys

SECONDS = 10
HTTPS = 443


def main() -> None:
    """Look, and fail if it is not as it must be."""
    address, name, root = sys.argv[1:]
    context = ssl.create_default_context(cafile=root)
    with (
        socket.create_connection((address, HTTPS), timeout=SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=name) as secured,
    ):
        found = secured.getpeercert() or {}
        certificate = secured.getpeercert(binary_form=True) or b""
    names = [value for _, value in found.get("subjectAltName", ())]
    if names != [name]:
        sys.exit(f"The certificate is for {names}, not for {name} alone.")
    sys.stdout.write(hashlib.sha256(certificate).hexdigest())


if __name__ == "__main__":
    main()
