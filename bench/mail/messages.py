"""Messages as Delta Chat writes them.

For: every load of the bench. They pass the strict gate.
"""

import os
import secrets

from pysequoia import Tsk, encrypt

ENCRYPTED_BYTES = 4_700  # becomes a message of 7 KB
BOUNDARY = "18a2f0c3d4e5f607"


def make_body(encrypted_bytes: int = ENCRYPTED_BYTES) -> bytes:
    """Encrypt for two keys, as for a contact and oneself, and write PGP/MIME as Delta Chat does."""
    certificates = [Tsk.generate(name).extract_certificate() for name in ("recipient", "sender")]
    armor = bytes(encrypt(os.urandom(encrypted_bytes), certificates)).replace(b"\n", b"\r\n").decode()
    return (
        f"--{BOUNDARY}\r\n"
        'Content-Type: application/pgp-encrypted; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: 7bit\r\n\r\nVersion: 1\r\n\r\n--{BOUNDARY}\r\n"
        'Content-Type: application/octet-stream; name="encrypted.asc"; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: 7bit\r\n\r\n{armor}\r\n--{BOUNDARY}--\r\n"
    ).encode()


def make_header(sender: str) -> bytes:
    """Write the header, with a new Message-ID."""
    return (
        f"From: <{sender}>\r\n"
        "Date: Sun, 22 Nov 2026 21:14:07 +0000\r\n"
        f"Message-ID: <{secrets.token_hex(16)}@localhost>\r\n"
        'To: "hidden-recipients": ;\r\n'
        "Subject: [...]\r\n"
        "Chat-Version: 1.0\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n'
        f'\tboundary="{BOUNDARY}"\r\n\r\n'
    ).encode()
