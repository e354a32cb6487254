"""Hash passwords that a program has made up: in microseconds, by a key that is not in the database.

For: password.py, with the 22 letters and digits that Delta Chat and our own pages invent: 130 bits, which no
guessing can find, so that a slow hash would protect nothing and cost every new account its time.
Not for: passwords of people (argon2id).

    stored    keyed:<id of the key>:<salt>:<SHA-256 of salt and password, masked>
    mask      BLAKE2b of the salt, keyed with the pepper

Whoever has the database alone cannot even try: the mask is as random as the key. Whoever has the key, too, as
this node does, can take the mask off, so that accounts can move to another node, or to Madmail, whose form is
just this hash (foreign_hash.py).

Source: RFC 7693 section 2.9 (keyed BLAKE2b as a pseudo-random function).
"""

import binascii
import re
import secrets
from base64 import b64decode, b64encode
from hashlib import blake2b, sha256
from hmac import compare_digest
from pathlib import Path

from mailnode.accounts.errors import PepperError
from nodelink.channel.files import read_if_there, write_durably

PEPPER_FILE = "pepper"
PEPPER_BYTES = 32
SALT_BYTES = 16
DIGEST_BYTES = 32

_GENERATED = re.compile(r"[A-Za-z0-9]{22,24}", re.ASCII)
_STORED = re.compile(r"keyed:([0-9a-f]{16}):([A-Za-z0-9+/]{22}==):([A-Za-z0-9+/]{43}=)", re.ASCII)


class KeyedHash:
    """The hash with one node's pepper."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper
        self._key_id = blake2b(b"key id", key=pepper, digest_size=8).hexdigest()

    def hash(self, password: str) -> str:
        """Hash a password for which `is_generated` holds."""
        salt = secrets.token_bytes(SALT_BYTES)
        masked = self._mask(sha256(salt + password.encode()).digest(), salt)
        return f"keyed:{self._key_id}:{_write(salt)}:{_write(masked)}"

    def verify(self, stored: str, password: str) -> bool:
        """Tell whether a password belongs to a stored hash.

        Raises:
            PepperError: The hash was made with another key.
        """
        salt, digest = self._open(stored)
        return compare_digest(sha256(salt + password.encode()).digest(), digest)

    def make_portable(self, stored: str) -> str:
        """Write a stored hash so that other servers can verify it. Raises: as `verify`."""
        salt, digest = self._open(stored)
        return f"sha256:{_write(salt)}:{_write(digest)}"

    def _open(self, stored: str) -> tuple[bytes, bytes]:
        """Read the salt and the digest without its mask."""
        found = _STORED.fullmatch(stored)
        try:
            if found is None or found[1] != self._key_id:
                raise PepperError(
                    f"A password was hashed with another {PEPPER_FILE} file. Restore the one that belongs to "
                    "the mail store, or give the account a new password."
                )
            salt, masked = b64decode(found[2], validate=True), b64decode(found[3], validate=True)
        except binascii.Error as error:
            raise PepperError(
                "A stored password hash is damaged. Give the account a new password."
            ) from error
        return salt, self._mask(masked, salt)

    def _mask(self, digest: bytes, salt: bytes) -> bytes:
        """Put the mask on, or take it off."""
        mask = blake2b(salt, key=self._pepper, digest_size=DIGEST_BYTES).digest()
        return (int.from_bytes(digest) ^ int.from_bytes(mask)).to_bytes(DIGEST_BYTES)


def is_generated(password: str) -> bool:
    """Tell whether a password has the form that programs invent: 22 to 24 letters and digits."""
    return _GENERATED.fullmatch(password) is not None


def is_keyed(stored: str) -> bool:
    """Tell whether a stored hash is of this kind."""
    return stored.startswith("keyed:")


def load_pepper(directory: Path) -> bytes:
    """Read this node's pepper; make it, durably, where there is none yet.

    Raises:
        PepperError: It cannot be read or written, or is no pepper.
    """
    path = directory / PEPPER_FILE
    try:
        pepper = read_if_there(path)
        if pepper is None:
            pepper = secrets.token_bytes(PEPPER_BYTES)
            write_durably(path, pepper)
    except OSError as error:
        raise PepperError(
            f"{path} cannot be read or written: {error.strerror}. Mend its permissions, and start again."
        ) from error
    if len(pepper) != PEPPER_BYTES:
        raise PepperError(
            f"{path} is damaged: restore it from a backup. Without it, generated passwords are lost."
        )
    return pepper


def _write(data: bytes) -> str:
    return b64encode(data).decode()
