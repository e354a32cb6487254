"""Tokens: what shows that somebody is the server of a domain whose mail is kept.

For: endpoints.py, and the command that makes them.
Not for: passwords of people. A token is 256 random bits, so its plain SHA-256 tells nothing; what does not
look like one opens nothing, so that no digest of a word that somebody has thought of ever works.

    Authorization: Bearer TOKEN           our nodes
    Authorization: Basic base64(:TOKEN)   programs that can be told a URL only, as https://x:TOKEN@host
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe

TOKEN_PREFIX = "mfx_"  # noqa: S105 - not one itself
TOKEN_BYTES = 32
DIGEST = re.compile(r"[0-9a-f]{64}")

_TOKEN = re.compile(r"mfx_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class TokenBook:
    """Which digests open which domains: a fleet may fetch the mail of all its nodes with one token."""

    digests: Mapping[str, Sequence[str]]

    def find_domains(self, token: str | None) -> frozenset[str]:
        """Find the domains that a token opens; it takes as long whichever they are."""
        if token is None or not _TOKEN.fullmatch(token):
            return frozenset()
        shown = digest_token(token)
        return frozenset(
            domain
            for domain, digests in self.digests.items()
            if any([compare_digest(digest, shown) for digest in digests])  # noqa: C419 - each is compared
        )


def make_token() -> str:
    """Make a token."""
    return TOKEN_PREFIX + token_urlsafe(TOKEN_BYTES)


def digest_token(token: str) -> str:
    """Compute what the settings hold of a token."""
    return sha256(token.encode()).hexdigest()


def read_token(authorization: str) -> str | None:
    """Read the token of a header; `None` where it shows none."""
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    match scheme.lower():
        case "bearer":
            return value or None
        case "basic":
            try:
                text = b64decode(value.encode("ascii"), validate=True).decode("ascii")
            except (binascii.Error, UnicodeError):
                return None
            return text.partition(":")[2] or None
        case _:
            return None
