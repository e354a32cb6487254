"""Check and make the credentials of Delta Chat: names without an account, that end by themselves.

    username = "1767225600"                                  the expiry in Unix seconds, nothing else
    password = base64( HMAC-SHA1( secret, username ) )       like coturn's use-auth-secret

For: the relay, and for the probe, which may know the secret.
Not for: who gets a credential; mail nodes hand them out, a different second for each account.
"""

import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from turnnode.relay.password_algorithms import PasswordAlgorithm, long_term_key
from turnnode.stun.message import IntegrityKind, make_proof

MAX_USERNAME_BYTES: Final = 12  # enough for 30,000 years, and it bounds the conversion to a number

KNOWN_KEYS: Final = 4096  # of clients that ask now; others are computed again


@dataclass(slots=True)
class Credential:
    """Who has proved to be what, and for how much longer; `key` signs the answers."""

    username: str
    valid_for_seconds: float
    key: bytes = field(repr=False)


def password_of(secret: str, username: str) -> str:
    """Return the password that belongs to a username under a secret."""
    # SHA-1 because that is what every REST credential is made with; HMAC does not need its collisions hard.
    digest = make_proof(IntegrityKind.SHA1, secret.encode(), username.encode())
    return binascii.b2a_base64(digest, newline=False).decode()


def read_expiry(username: bytes, unix_seconds: float, max_lifetime_seconds: int) -> int | None:
    """Return the Unix second at which a username ends.

    `None` means that it is no bare number, has less than one second left, or ends later than
    `max_lifetime_seconds` from now: whoever once had the secret could have made it for the year 9999.
    """
    if len(username) > MAX_USERNAME_BYTES or not username.isdigit():
        return None
    expires_at = int(username)
    if not unix_seconds + 1 <= expires_at <= unix_seconds + max_lifetime_seconds:
        return None
    return expires_at


def possible_keys(
    username: str, realm: str, secrets: Iterable[str], algorithm: PasswordAlgorithm = PasswordAlgorithm.MD5
) -> Iterator[bytes]:
    """Yield the key that a username has under each live secret."""
    for secret in secrets:
        yield _key_of(username, realm, secret, algorithm)


@lru_cache(maxsize=KNOWN_KEYS)
def _key_of(username: str, realm: str, secret: str, algorithm: PasswordAlgorithm) -> bytes:
    return long_term_key(username, realm, password_of(secret, username), algorithm)
