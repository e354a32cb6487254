"""The node's signing keys on disk.

For: the daemon.
Not for: what a rotation is (key_ring.py).

One file holds all of it, so that a power cut finds the ring before a step or after it, and never in between.
"""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailnode.dkim.errors import KeyFileError
from mailnode.dkim.key_ring import KeyPair, KeyRing, Stage
from mailnode.dkim.signing import SigningKey
from nodelink.channel.files import read_if_there, write_durably


class _KeptKey(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    selector: str = Field(pattern=r"^[a-z0-9]{1,63}$")
    pem: str


class _KeptPair(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    stage: Stage
    since_seconds: int
    is_seen: bool
    keys: tuple[_KeptKey, ...] = Field(min_length=1)


class _KeptRing(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: tuple[_KeptPair, ...]


def read_ring(path: Path) -> KeyRing | None:
    """Read the ring; `None` where there is none yet.

    Raises:
        KeyFileError: The file holds something else.
    """
    content = read_if_there(path)
    if content is None:
        return None
    try:
        kept = _KeptRing.model_validate_json(content)
        ring = KeyRing(tuple(_read_pair(pair) for pair in kept.pairs))
    except (ValidationError, ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            f"{path} is damaged. Restore it, or remove it: new keys are made then, and must be published."
        ) from error
    if [pair.stage for pair in ring.pairs].count(Stage.CURRENT) != 1:
        raise KeyFileError(f"{path} names not exactly one current pair of keys. Restore it, or remove it.")
    return ring


def write_ring(path: Path, ring: KeyRing) -> None:
    """Keep the ring, readable by its owner only. Raises: OSError."""
    kept = _KeptRing(
        pairs=tuple(
            _KeptPair(
                number=pair.number,
                stage=pair.stage,
                since_seconds=pair.since_seconds,
                is_seen=pair.is_seen,
                keys=tuple(_KeptKey(selector=key.selector, pem=_write_pem(key)) for key in pair.keys),
            )
            for pair in ring.pairs
        )
    )
    write_durably(path, kept.model_dump_json(indent=1).encode())


def _read_pair(kept: _KeptPair) -> KeyPair:
    keys = tuple(_read_key(key) for key in kept.keys)
    return KeyPair(kept.number, kept.stage, kept.since_seconds, keys, kept.is_seen)


def _read_key(kept: _KeptKey) -> SigningKey:
    key = load_pem_private_key(kept.pem.encode(), None)
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError("this key is of another kind")  # noqa: TRY004 - the file's fault, not a caller's
    return SigningKey(kept.selector, key)


def _write_pem(key: SigningKey) -> str:
    return key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
