"""Make and check nonces without keeping any.

For: the relay's 401 and 438. A nonce is worth something only from the address that it was sent to: so the
sender of a request with a valid nonce can receive there, and nobody ends a stranger's call with a forged one.
Not for: who the sender is (credentials.py).

    nonce = base64( expiry, 4 octets | keyed BLAKE2s(key, expiry, 5-tuple), 8 octets )     16 characters

Source: RFC 8489 section 9.2, RFC 8656 section 5 (bind nonces to the 5-tuple).
"""

import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from turnnode.stun.attributes import Address

NONCE_BYTES: Final = 16
_EXPIRY_BYTES = 4
_MAC_BYTES = 8


class FiveTuple(NamedTuple):
    """Where a datagram came from and where it arrived; the protocol, the fifth, is always UDP."""

    client: Address
    server: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceMint:
    """Makes and checks nonces under one key, which a restart may change: clients then get a 438 and go on."""

    key: bytes = field(repr=False)
    valid_for_seconds: int = 3600

    def mint(self, five_tuple: FiveTuple, now: float) -> bytes:
        """Return a nonce for one 5-tuple."""
        expiry = (int(now) + self.valid_for_seconds).to_bytes(_EXPIRY_BYTES)
        return binascii.b2a_base64(expiry + self._mac(expiry, five_tuple), newline=False)

    def is_valid(self, nonce: bytes, five_tuple: FiveTuple, now: float) -> bool:
        """Tell whether this mint made `nonce` for this 5-tuple, and not too long ago."""
        if len(nonce) != NONCE_BYTES:
            return False
        try:
            content = binascii.a2b_base64(nonce, strict_mode=True)
        except binascii.Error:
            return False
        expiry, mac = content[:_EXPIRY_BYTES], content[_EXPIRY_BYTES:]
        return hmac.compare_digest(mac, self._mac(expiry, five_tuple)) and int.from_bytes(expiry) > now

    def _mac(self, expiry: bytes, five_tuple: FiveTuple) -> bytes:
        client, server = five_tuple.client, five_tuple.server
        text = f"udp {client[0]} {client[1]} {server[0]} {server[1]}"
        return hashlib.blake2s(expiry + text.encode(), key=self.key, digest_size=_MAC_BYTES).digest()
