"""Let a key that another server has signed with sign here, too, until the node's own keys are published.

    given key ──▶ CURRENT            the node's own pair ──▶ NEXT: signs as soon as the DNS has it

For: `mailnode adopt`, on a ring that has not been rotated yet.
Not for: rotation itself (key_ring.py).
"""

from dataclasses import replace
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mailnode.dkim.errors import KeyFileError
from mailnode.dkim.key_files import read_ring, write_ring
from mailnode.dkim.key_ring import KeyPair, KeyRing, Stage, make_ring
from mailnode.dkim.signing import SigningKey

MIN_RSA_BITS = 1024


def adopt_key(ring_file: Path, key_file: Path, selector: str, now_seconds: int) -> None:
    """Put a key in force that is published under `selector` already.

    Raises:
        KeyFileError: It is no RSA key of 1,024 bits or more, or the node has been rotating keys already.
    """
    key = SigningKey(selector, _read_key(key_file))
    ring = read_ring(ring_file) or make_ring(now_seconds)
    if [pair.stage for pair in ring.pairs] != [Stage.CURRENT]:
        raise KeyFileError("This node has been rotating its DKIM keys already, and keeps them.")
    own = replace(ring.pairs[0], number=2, stage=Stage.NEXT, since_seconds=now_seconds)
    write_ring(ring_file, KeyRing((KeyPair(1, Stage.CURRENT, now_seconds, (key,)), own)))


def _read_key(path: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            f"{path} cannot be read as a private key in PEM form without a password."
        ) from error
    if not isinstance(key, RSAPrivateKey) or key.key_size < MIN_RSA_BITS:
        raise KeyFileError(f"{path} is no RSA key of {MIN_RSA_BITS:,} bits or more.")
    return key
