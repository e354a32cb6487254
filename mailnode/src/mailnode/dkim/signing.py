"""Sign a message that leaves the node.

For: outbound mail. A message gets one signature for each kind of key: RSA, which everybody checks, and
Ed25519, which is short and cheap.
Not for: mail between the nodes of a fleet, which is signed as a delivery; keys on disk (key_files.py).

Header and body are signed in relaxed form. From, and what an app shows or acts on, is named once more than
it is there, so that nobody can add another one.

Source: RFC 6376 sections 5 and 8.15.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from mailnode.dkim.canonical_form import Form, write_body, write_field
from mailnode.dkim.fields import Field, Parts, choose_fields, split_message
from mailnode.dkim.signature import Algorithm

SIGNED_NAMES = (
    b"from",
    b"to",
    b"subject",
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"auto-submitted",
    b"autocrypt",
    b"chat-version",
    b"in-reply-to",
    b"references",
    b"secure-join",
)
FIELD = b"DKIM-Signature"
WRAPPED_CHARACTERS = 72

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

_PREHASHED = Prehashed(SHA256())
_PADDING = PKCS1v15()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with the selector under which its public half is published."""

    selector: str
    private_key: PrivateKey

    @property
    def algorithm(self) -> Algorithm:
        """What it signs with."""
        return Algorithm.RSA if isinstance(self.private_key, RSAPrivateKey) else Algorithm.ED25519

    def sign(self, digest: bytes) -> bytes:
        """Sign a SHA-256 digest."""
        if isinstance(self.private_key, RSAPrivateKey):
            return self.private_key.sign(digest, _PADDING, _PREHASHED)
        return self.private_key.sign(digest)


def write_signatures(message: bytes, domain: str, keys: Sequence[SigningKey], now_seconds: float) -> bytes:
    """Write a field for each key, to stand before the message.

    Raises:
        MalformedError: The header of the message is none.
    """
    parts = split_message(message)
    body_hash = b64encode(sha256(write_body(parts.body, Form.RELAXED)).digest())
    names = _name_fields(parts)
    signed = b"".join(
        write_field(field, Form.RELAXED) + b"\r\n" for field in choose_fields(parts.fields, names)
    )
    return b"".join(_write(key, domain, (names, signed, body_hash), now_seconds) for key in keys)


def _name_fields(parts: Parts) -> list[bytes]:
    present = [field.name for field in parts.fields]
    names = []
    for name in SIGNED_NAMES:
        count = present.count(name)
        names += [name] * (count + (name in {b"from", b"subject", b"content-type"} or count == 0))
    return names


def _write(
    key: SigningKey, domain: str, signed: tuple[list[bytes], bytes, bytes], now_seconds: float
) -> bytes:
    names, header, body_hash = signed
    value = (
        f" v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain};\r\n"
        f"\ts={key.selector}; t={int(now_seconds)};\r\n"
    ).encode()
    value += b"\th=" + b":\r\n\t ".join(_wrap_names(names)) + b";\r\n\tbh=" + body_hash + b";\r\n\tb="
    own = write_field(Field(FIELD.lower(), FIELD, value), Form.RELAXED)
    written = b64encode(key.sign(sha256(header + own).digest()))
    lines = [
        written[start : start + WRAPPED_CHARACTERS] for start in range(0, len(written), WRAPPED_CHARACTERS)
    ]
    return FIELD + b":" + value + b"\r\n\t ".join(lines) + b"\r\n"


def _wrap_names(names: list[bytes]) -> list[bytes]:
    lines = [b""]
    for name in names:
        if lines[-1] and len(lines[-1]) + 1 + len(name) > WRAPPED_CHARACTERS:
            lines.append(name)
        else:
            lines[-1] += (b":" if lines[-1] else b"") + name
    return lines
