"""Hold a TLS connection and use it twice a second: `hold.py imap|http ADDRESS FINGERPRINT`.

Ends well when new connections are given another certificate than that with FINGERPRINT, and the one that was
made before has answered all the time, and does so still.
"""

import hashlib
import socket
import ssl
import sys
import time

SECONDS = 90
PORTS = {"imap": 993, "http": 443}
QUESTIONS = {"imap": b"a NOOP\r\n", "http": b"HEAD / HTTP/1.1\r\nHost: held\r\n\r\n"}
ANSWERS = {"imap": b"a OK", "http": b"HTTP/1.1 "}


def connect(protocol: str, address: str) -> ssl.SSLSocket:
    """Connect without judging the certificate; look.py does."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = context.wrap_socket(socket.create_connection((address, PORTS[protocol]), timeout=10))
    if protocol == "imap":
        connection.recv(4096)
    return connection


def ask(connection: ssl.SSLSocket, protocol: str) -> None:
    """Ask, and fail unless there is the answer to it."""
    connection.sendall(QUESTIONS[protocol])
    answer = connection.recv(4096)
    if not answer.startswith(ANSWERS[protocol]):
        sys.exit(f"The connection that was held answered {answer!r}.")


def read_fingerprint(protocol: str, address: str) -> str:
    """Read the fingerprint of the certificate that a new connection is given."""
    with connect(protocol, address) as connection:
        return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()


def main() -> None:
    """Hold the connection until the certificate is another."""
    protocol, address, old = sys.argv[1:]
    deadline = time.monotonic() + SECONDS
    with connect(protocol, address) as held:
        if read_fingerprint(protocol, address) != old:
            sys.exit("The certificate was another one before there was a connection to hold.")
        while read_fingerprint(protocol, address) == old:
            if time.monotonic() > deadline:
                sys.exit(f"New connections are given the old certificate after {SECONDS} seconds.")
            ask(held, protocol)
            time.sleep(0.5)
        ask(held, protocol)


if __name__ == "__main__":
    main()
