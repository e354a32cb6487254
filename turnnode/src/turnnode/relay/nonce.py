"""Make and check nonces without keeping any.

For: the relay's 401 and 438. A nonce is worth something only from the address that it was sent to: so the
sender of a request with a valid nonce can receive there, and nobody ends a stranger's call with a forged one.
Not for: who the sender is (credentials.py).

    nonce = base64( expiry, 4 octets | keyed BLAKE2s(key, expiry, 5-tuple), 8 octets )     16 characters
    with the list of password algorithms: "obMatJos2gAA" and that                        29 characters

The prefix of the longer one, the nonce cookie and a set of bits, is under the MAC too: who takes it away on
the way, so that a client falls back to MD5, makes the nonce worthless.

Source: RFC 8489 section 9.2, RFC 8656 section 5 (bind nonces to the 5-tuple).
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from turnnode.stun.attributes import Address

PLAIN_BYTES: Final = 16
COOKIE: Final = b"obMatJos2"  # RFC 8489 section 9.2
_FEATURES = base64.b64encode(
    b"\x80\0\0"
)  # RFC 8489 section 18.1: bit 0, the leftmost, is password algorithms
_PREFIX = COOKIE + _FEATURES
OFFERING_BYTES: Final = len(_PREFIX) + PLAIN_BYTES
_EXPIRY_BYTES = 4
_MAC_BYTES = 8


class FiveTuple(NamedTuple):
    """Where a message came from, where it arrived, and by which protocol."""

    client: Address
    server: Address
    protocol: str = "udp"


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceMint:
    """Makes and checks nonces under one key, which a restart may change: clients then get a 438 and go on."""

    key: bytes = field(repr=False)
    valid_for_seconds: int = 3600

    def mint(self, five_tuple: FiveTuple, now: float, *, offers_algorithms: bool = False) -> bytes:
        """Return a nonce for one 5-tuple, which says whether a list of password algorithms goes with it."""
        prefix = _PREFIX if offers_algorithms else b""
        expiry = (int(now) + self.valid_for_seconds).to_bytes(_EXPIRY_BYTES)
        return prefix + binascii.b2a_base64(expiry + self._mac(prefix, expiry, five_tuple), newline=False)

    def is_valid(self, nonce: bytes, five_tuple: FiveTuple, now: float) -> bool:
        """Tell whether this mint made `nonce` for this 5-tuple, and not too long ago."""
        prefix = _PREFIX if is_offering(nonce) else b""
        if len(nonce) != len(prefix) + PLAIN_BYTES:
            return False
        try:
            content = binascii.a2b_base64(nonce[len(prefix) :], strict_mode=True)
        except binascii.Error:
            return False
        expiry, mac = content[:_EXPIRY_BYTES], content[_EXPIRY_BYTES:]
        wanted = self._mac(prefix, expiry, five_tuple)
        return hmac.compare_digest(mac, wanted) and int.from_bytes(expiry) > now

    def _mac(self, prefix: bytes, expiry: bytes, five_tuple: FiveTuple) -> bytes:
        client, server = five_tuple.client, five_tuple.server
        text = f"{five_tuple.protocol} {client[0]} {client[1]} {server[0]} {server[1]}"
        return hashlib.blake2s(prefix + expiry + text.encode(), key=self.key, digest_size=_MAC_BYTES).digest()


def expiry_of(nonce: bytes) -> int:
    """Return when a valid nonce ends."""
    content = binascii.a2b_base64(nonce[-PLAIN_BYTES:], strict_mode=True)
    return int.from_bytes(content[:_EXPIRY_BYTES])


def is_offering(nonce: bytes) -> bool:
    """Tell whether a nonce, valid or not, says that a list of password algorithms went with it."""
    return nonce.startswith(_PREFIX)
