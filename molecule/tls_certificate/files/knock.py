"""Knock at port 80: `knock.py ADDRESS ORIGIN TOKEN CONTENT` fails unless it answers as it must, and no more.

The file of TOKEN with CONTENT has been put where authorities look.
"""

import socket
import sys

SECONDS = 15
MAX_ANSWER_BYTES = 65536


def knock(address: str, sent: bytes) -> bytes:
    """Send bytes on a connection of their own, and read until the other side closes."""
    with socket.create_connection((address, 80), timeout=SECONDS) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while len(received) < MAX_ANSWER_BYTES and (more := connection.recv(4096)):
            received += more
        return received


def main() -> None:
    """Knock in several ways."""
    address, origin, token, content = sys.argv[1:]
    challenge = f"/.well-known/acme-challenge/{token}"
    moved = f"HTTP/1.1 301 Moved Permanently\r\nLocation: {origin}"
    faults = []
    for request, begin, end in (
        (f"GET {challenge} HTTP/1.1\r\nHost: other.test\r\n\r\n", "HTTP/1.1 200 ", f"\r\n\r\n{content}"),
        (f"HEAD {challenge} HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ", "close\r\n\r\n"),
        (f"GET {challenge}x HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "\r\n\r\n"),
        (f"GET {challenge}/../{token} HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "\r\n\r\n"),
        ("GET /new?a=b HTTP/1.1\r\nHost: other.test\r\n\r\n", f"{moved}/new?a=b\r\n", "\r\n\r\n"),
        ("POST /new HTTP/1.0\r\nContent-Length: 2\r\n\r\nab", f"{moved}/new\r\n", "\r\n\r\n"),
        ("GET http://other.test/x HTTP/1.1\r\n\r\n", f"{moved}/x\r\n", "\r\n\r\n"),
        ("EHLO other.test\r\n\r\n", "HTTP/1.1 400 ", "\r\n\r\n"),
        ("GET / HTTP/1.1\r\nX: " + "x" * 9000, "HTTP/1.1 431 ", "\r\n\r\n"),
        ("GET / HTTP/1.1\r\n", "", ""),
    ):
        answer = knock(address, request.encode()).decode()
        if not (answer.startswith(begin) and answer.endswith(end)) or (not begin and answer):
            faults.append(f"{request[:60]!r} was answered by {answer!r}.")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
