"""Ed25519 keys: the identity of a node, and the signing key of the control plane.

For: making, storing and naming keys. A key's id is its thumbprint (RFC 7638), so that nobody assigns ids.
Not for: files (channel/files.py keeps them).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from nodelink.contract.errors import MalformedError

ALGORITHM: Final = "Ed25519"
"""RFC 9864 gives EdDSA over this curve its own name; the older name `EdDSA` is deprecated there."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half; `x` is the key itself, base64url without padding (RFC 8037 section 2)."""

    x: str
    jwk: OKPKey = field(init=False, repr=False, compare=False)
    """The key as joserfc wants it, and under its id."""
    key_id: str = field(init=False, repr=False, compare=False)
    """The thumbprint. Source: RFC 7638."""

    def __post_init__(self) -> None:
        """Refuse what is no key.

        Raises:
            MalformedError: `x` is not 32 octets in base64url.
        """
        # Once for each key, not at each signature: a fleet's states are signed by one, a thousand at a time.
        jwk = _import_key({"kty": "OKP", "crv": "Ed25519", "x": self.x})
        jwk.ensure_kid()
        object.__setattr__(self, "jwk", jwk)
        object.__setattr__(self, "key_id", jwk.thumbprint())


class PrivateKey:
    """A key that signs. It shows nothing of itself but its public half."""

    __slots__ = ("jwk", "public")

    def __init__(self, jwk: OKPKey) -> None:
        self.jwk = jwk
        self.public = PublicKey(str(jwk.as_dict(private=False)["x"]))
        """The public half."""

    @classmethod
    def generate(cls) -> "PrivateKey":
        """Make a new key."""
        return cls(OKPKey.generate_key(ALGORITHM))

    @classmethod
    def from_pem(cls, pem: bytes) -> "PrivateKey":
        """Read a key from PKCS#8 PEM.

        Raises:
            MalformedError: It is no private Ed25519 key.
        """
        try:
            jwk = OKPKey.import_key(pem)
        except (JoseError, ValueError, TypeError) as error:
            raise MalformedError("this is no Ed25519 key in PEM form") from error
        if not jwk.is_private or jwk.as_dict(private=False).get("crv") != "Ed25519":
            raise MalformedError("this is no private Ed25519 key")
        return cls(jwk)

    def to_pem(self) -> bytes:
        """Write the key as PKCS#8 PEM, unencrypted: for a file that only its owner can read."""
        return self.jwk.as_pem(private=True)


def key_set(keys: Iterable[PublicKey]) -> KeySet:
    """Put keys together, each under its id."""
    members: list[OctKey | RSAKey | ECKey | OKPKey] = [key.jwk for key in keys]
    return KeySet(members)


def _import_key(fields: dict[str, str]) -> OKPKey:
    try:
        key = OKPKey.import_key(dict(fields))
        _ = key.public_key  # this is where the octets are counted
    except (JoseError, ValueError, TypeError) as error:
        raise MalformedError("this is no public Ed25519 key: 43 characters of base64url are due") from error
    return key
