"""The record in the DNS that holds a public key.

For: verification, which has looked it up; the zone that is printed for operators (as text only).
Not for: looking up.

Source: RFC 6376 section 3.6.1, RFC 8301 section 3.2, RFC 8463 section 4.
"""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailnode.dkim.errors import MalformedError
from mailnode.dkim.signature import Algorithm, read_base64, read_tags

MIN_RSA_BITS, MAX_RSA_BITS = 1024, 8192
MAX_RSA_EXPONENT = 1 << 32
MAX_RECORD_BYTES = 4_096
"""Twice what the largest key needs. Records are remembered, and strangers write them."""

PublicKey = RSAPublicKey | Ed25519PublicKey

_PREHASHED = Prehashed(SHA256())
_PADDING = PKCS1v15()


def read_key_record(record: bytes, algorithm: Algorithm) -> PublicKey:
    """Read the key of a record for an algorithm.

    Raises:
        MalformedError: It is no record, revoked, for something else, too long, or too weak.
    """
    if len(record) > MAX_RECORD_BYTES:
        raise MalformedError("the record is too long")
    tags = read_tags(record)
    if tags.get(b"v", b"DKIM1") != b"DKIM1":
        raise MalformedError("the record is of another version")
    services = {name.strip() for name in tags.get(b"s", b"*").split(b":")}
    if services.isdisjoint((b"*", b"email")):
        raise MalformedError("the key is not for mail")
    hashes = {name.strip() for name in tags[b"h"].split(b":")} if b"h" in tags else {b"sha256"}
    if b"sha256" not in hashes:
        raise MalformedError("the key is not for SHA-256")
    kind = Algorithm.ED25519 if tags.get(b"k", b"rsa") == b"ed25519" else Algorithm.RSA
    if kind is not algorithm or tags.get(b"k", b"rsa") not in (b"rsa", b"ed25519"):
        raise MalformedError("the key is of another kind")
    data = read_base64(tags.get(b"p", b""))  # an empty one is a key that was revoked
    try:
        return Ed25519PublicKey.from_public_bytes(data) if kind is Algorithm.ED25519 else _read_rsa(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedError("the key is none") from error


def is_signed_by(key: PublicKey, digest: bytes, signature: bytes) -> bool:
    """Tell whether a key has signed the SHA-256 digest of what it should have."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, digest)
        else:
            key.verify(signature, digest, _PADDING, _PREHASHED)
    except InvalidSignature:
        return False
    return True


def _read_rsa(data: bytes) -> RSAPublicKey:
    try:
        key = load_der_public_key(data)
    except ValueError:
        key = _read_bare_rsa(data)  # as some write it: without the algorithm around it
    if not isinstance(key, RSAPublicKey) or not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise MalformedError("the key is too weak, too large, or of another kind")
    if key.public_numbers().e > MAX_RSA_EXPONENT:
        raise MalformedError("the exponent of the key is too large")
    return key


def _read_bare_rsa(data: bytes) -> RSAPublicKey:
    """Read two INTEGERs in a SEQUENCE. Raises: ValueError."""
    tag, content, rest = _read_der(data)
    first, modulus, tail = _read_der(content)
    second, exponent, end = _read_der(tail)
    if (tag, first, second) != (0x30, 2, 2) or rest or end:
        raise ValueError("no RSA key")
    return RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus)).public_key()


def _read_der(data: bytes) -> tuple[int, bytes, bytes]:
    if len(data) < 2:
        raise ValueError("the DER ends early")
    size, offset = data[1], 2
    if size & 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or len(data) < 2 + count:
            raise ValueError("the DER is none")
        size, offset = int.from_bytes(data[2 : 2 + count]), 2 + count
    if len(data) < offset + size:
        raise ValueError("the DER ends early")
    return data[0], data[offset : offset + size], data[offset + size :]
