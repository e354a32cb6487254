"""Choose how a password becomes a key: MD5 as ever, or SHA-256 where both sides speak RFC 8489.

    401 with room for it ─▶ nonce that says "password algorithms", and the list of them
    request under such a nonce ─▶ the list again, and the one that was chosen     or neither: MD5
    request under a plain nonce ─▶ MD5, as for RFC 5389

For: authentication.py, and clients in tests.
Not for: the proof of integrity, whose kind (SHA-1 or SHA-256) goes by the request alone.

The list and the longer nonce make a 401 longer, and an answer to a forged source must not be 1.8 times what
was asked. So only a request that is long enough is offered the list, and everyone over TCP and TLS. There is
no USERHASH: our user names are seconds, which say nothing of anybody, so there is nothing to hide.

Source: RFC 8489 sections 9.2, 14.11, 14.12 and 18.5.
"""

import hashlib
from enum import IntEnum
from typing import Final

from turnnode.errors import RequestRefusedError
from turnnode.stun.attributes import AttributeType
from turnnode.stun.message import Message


class PasswordAlgorithm(IntEnum):
    """The two algorithms of RFC 8489; neither has parameters."""

    MD5 = 1
    SHA256 = 2


OFFERED: Final = b"".join(number.to_bytes(2) + b"\0\0" for number in (2, 1))
"""The value of PASSWORD-ALGORITHMS, the better one first."""


def long_term_key(
    username: str, realm: str, password: str, algorithm: PasswordAlgorithm = PasswordAlgorithm.MD5
) -> bytes:
    """Return the key of the long-term credential mechanism (RFC 8489 section 9.2.2)."""
    text = f"{username}:{realm}:{password}".encode()
    if algorithm is PasswordAlgorithm.SHA256:
        return hashlib.sha256(text).digest()
    # MD5 is what every client of today uses; what it digests cannot be guessed.
    return hashlib.md5(text, usedforsecurity=False).digest()


def choose_algorithm(message: Message, *, is_offered: bool) -> PasswordAlgorithm:
    """Return how the sender of a signed request has made its key; `is_offered` is what its nonce says.

    Raises:
        RequestRefusedError: With 400: the sender was shown another list, or has chosen what is not on it.
    """
    if not is_offered:
        return PasswordAlgorithm.MD5
    listed = message.find(AttributeType.PASSWORD_ALGORITHMS)
    chosen = message.find(AttributeType.PASSWORD_ALGORITHM)
    if listed is None and chosen is None:
        return PasswordAlgorithm.MD5
    if listed != OFFERED or chosen is None:
        raise RequestRefusedError(400)
    for algorithm in PasswordAlgorithm:
        if chosen == algorithm.to_bytes(2) + b"\0\0":
            return algorithm
    raise RequestRefusedError(400)
