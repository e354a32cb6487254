"""Write the message of a probe: encrypted as any mail, with a passphrase that nobody keeps.

For: probes, which must pass the gate as the mail of people does.
Not for: anything that somebody is to read.

Source: RFC 9580 sections 3.7.1.3, 5.3.1, 5.9 and 5.13.1; RFC 3156 section 4.
"""

import time
from base64 import b64encode
from email.utils import formatdate
from hashlib import sha1, sha256
from secrets import token_bytes, token_hex

from cryptography.hazmat.decrepit.ciphers.modes import CFB  # what OpenPGP has for all readers of today
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256

from mailnode.encryption.armor import BEGIN_LINE, END_LINE

BLOCK_BYTES = 16
KEY_CIPHER, KEY_HASH, ITERATED = 9, 8, 3  # AES-256, SHA-256, iterated and salted
HASHED_BYTES, HASHED_CODE = 65_536, 0x60
MDC_HEAD = b"\xd3\x14"


def write_probe_message(sender: str, recipient: str, text: bytes) -> bytes:
    """Write a message that only its writer could have read, by a passphrase that is forgotten."""
    armor = _armor(encrypt_with_passphrase(text, token_bytes(24)))
    boundary = token_hex(12)
    lines = (
        f"From: <{sender}>",
        f"To: <{recipient}>",
        f"Date: {formatdate(time.time())}",
        f"Message-ID: <{token_hex(16)}@{sender.rpartition('@')[2]}>",
        "Subject: [...]",
        "MIME-Version: 1.0",
        'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";',
        f'\tboundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: application/pgp-encrypted",
        "",
        "Version: 1",
        "",
        f"--{boundary}",
        "Content-Type: application/octet-stream",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + armor + f"\r\n--{boundary}--\r\n".encode()


def encrypt_with_passphrase(text: bytes, passphrase: bytes) -> bytes:
    """Encrypt a text; returns the packets."""
    salt = token_bytes(8)
    salted = salt + passphrase
    repeated = salted * (HASHED_BYTES // len(salted) + 1)
    key = sha256(repeated[:HASHED_BYTES]).digest()
    head = bytes([4, KEY_CIPHER, ITERATED, KEY_HASH]) + salt + bytes([HASHED_CODE])
    prefix = token_bytes(BLOCK_BYTES)
    literal = _frame(11, b"b\x00" + bytes(4) + text)
    content = prefix + prefix[-2:] + literal + MDC_HEAD
    content += sha1(content, usedforsecurity=False).digest()  # which hash it is, the format says
    encryptor = Cipher(AES256(key), CFB(bytes(BLOCK_BYTES))).encryptor()
    sealed = encryptor.update(content) + encryptor.finalize()
    return _frame(3, head) + _frame(18, b"\x01" + sealed)


def _frame(type_id: int, body: bytes) -> bytes:
    return bytes([0xC0 | type_id, 255]) + len(body).to_bytes(4) + body


def _armor(packets: bytes) -> bytes:
    encoded = b64encode(packets)
    lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
    return b"\r\n".join([BEGIN_LINE.rstrip(), b"", *lines, END_LINE.rstrip(), b""])
