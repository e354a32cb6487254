"""Set the ticket key of a TLS context by ctypes, and prove that it works.

    python -m mailnode.ticket_probe CERTIFICATE KEY

For: tls_tickets.py, which runs the proof in a process of its own before it calls `set_ticket_key` itself.
Not for: anything else; it imports next to nothing, because it is run at each start.

The proof: two contexts with one key. A client shakes hands with the first, and must be able to resume that
session with the second, and not with a third that has another key.
"""

import ssl
import sys

KEY_BYTES = 80
"""Name, HMAC key and AES key: 16, 32 and 32 bytes since OpenSSL 1.1."""

SET_TICKET_KEYS = 59
STEPS = 10


class TicketKeyError(Exception):
    """The key could not be set."""


def set_ticket_key(context: ssl.SSLContext, key: bytes) -> None:
    """Let a context seal and open its tickets with this key.

    Raises:
        TicketKeyError: OpenSSL would not have it, or cannot be reached.
    """
    try:
        import _ssl  # noqa: PLC0415 - where these are missing or refused, a caller goes on without
        import ctypes  # noqa: PLC0415

        control = ctypes.CDLL(_ssl.__file__).SSL_CTX_ctrl
    except (ImportError, OSError, MemoryError, AttributeError) as error:
        raise TicketKeyError(str(error)) from error
    control.restype = ctypes.c_long
    control.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
    native = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    if control(native, SET_TICKET_KEYS, len(key), key) != 1:
        raise TicketKeyError("OpenSSL does not take the key")


def prove(certificate: str, key_file: str) -> bool:
    """Tell whether sessions are resumed across contexts that have one key, and not otherwise."""
    first, second, other = (_build_server(certificate, key_file) for _ in range(3))
    key = bytes(range(KEY_BYTES))
    set_ticket_key(first, key)
    set_ticket_key(second, key)
    set_ticket_key(other, key[::-1])
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    session, _ = shake_hands(client, first, None)
    _, is_resumed = shake_hands(client, second, session)
    _, is_resumed_wrongly = shake_hands(client, other, session)
    return is_resumed and not is_resumed_wrongly


def shake_hands(
    client: ssl.SSLContext, server: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool]:
    """Shake hands in memory; return the client's session, and whether it was resumed."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, session=session)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(STEPS):
        for end in (near, far):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    far.write(b".")
    near.read(1)  # the ticket comes before it
    return near.session, bool(near.session_reused)


def _build_server(certificate: str, key_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key_file)
    return context


def main(certificate: str, key_file: str) -> int:
    """Prove it; 0 means that it works."""
    try:
        return 0 if prove(certificate, key_file) else 1
    except (TicketKeyError, ssl.SSLError, OSError):
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
