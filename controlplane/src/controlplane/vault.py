"""Keep secrets in a database that is read by more people than the secrets.

For: a keyed hash for what is only compared, ciphertext for what must be shown again.
Not for: keeping the key itself (key_files.py).
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from controlplane.errors import BadInstallationError

KEY_BYTES = 32
NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Vault:
    """Everything that is done with the master key. Each purpose has a key of its own (HKDF, RFC 5869)."""

    _master_key: bytes

    def __repr__(self) -> str:
        return "Vault()"

    def hash(self, purpose: str, text: str) -> str:
        """Compute the keyed hash of a text, in hexadecimal; equal texts of two purposes differ."""
        return digest(self._derive(f"hash {purpose}"), text.encode(), sha256).hex()

    def seal(self, name: str, text: str) -> str:
        """Encrypt a secret; it can only be opened under the same name."""
        nonce = token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._derive("seal")).encrypt(nonce, text.encode(), name.encode())
        return urlsafe_b64encode(nonce + sealed).decode()

    def open(self, name: str, sealed: str) -> str:
        """Decrypt a secret.

        Raises:
            BadInstallationError: It was sealed with another master key or under another name, or is damaged.
        """
        try:
            content = urlsafe_b64decode(sealed)
            text = AESGCM(self._derive("seal")).decrypt(
                content[:NONCE_BYTES], content[NONCE_BYTES:], name.encode()
            )
        except (InvalidTag, ValueError) as error:
            raise BadInstallationError(
                f"The secret {name} cannot be decrypted. Restore master-key and database from one backup."
            ) from error
        return text.decode()

    def _derive(self, purpose: str) -> bytes:
        derivation = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"madfleet controlplane {purpose}".encode())
        return derivation.derive(self._master_key)
