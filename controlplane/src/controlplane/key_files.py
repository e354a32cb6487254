"""The control plane's own keys, as files in its state directory that only their owner reads.

    signing-key.pem        signs desired states and operations
    next-signing-key.pem   the key that will sign next, where a rotation has been prepared; nodes trust both
    master-key             encrypts and hashes what stands in the database (vault.py)

For: making them at the first start, and reading them ever after. Back them up with the database.
Not for: secrets that are shared with nodes; those are in the database, as ciphertext.
"""

from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

from controlplane.errors import BadInstallationError
from controlplane.vault import KEY_BYTES, Vault
from nodelink.channel.files import read_if_there, write_durably
from nodelink.contract.errors import MalformedError
from nodelink.contract.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The key that signs, and every public key that nodes are to trust from now on, that one first."""

    current: PrivateKey
    trusted: tuple[str, ...]


def load_signing_keys(directory: Path) -> SigningKeys:
    """Read the signing keys; make the first one, if there is none yet.

    Raises:
        BadInstallationError: A file holds something else, or others can read it.
    """
    path = directory / "signing-key.pem"
    pem = _read_private(path)
    if pem is None:
        pem = PrivateKey.generate().to_pem()
        write_durably(path, pem)
    current = _parse_key(path, pem)
    next_path = directory / "next-signing-key.pem"
    next_pem = _read_private(next_path)
    announced = () if next_pem is None else (_parse_key(next_path, next_pem).public.x,)
    return SigningKeys(current, (current.public.x, *announced))


def load_vault(directory: Path) -> Vault:
    """Read the master key; make it, if there is none yet.

    Raises:
        BadInstallationError: The file holds something else, or others can read it.
    """
    path = directory / "master-key"
    key = _read_private(path)
    if key is None:
        key = token_bytes(KEY_BYTES)
        write_durably(path, key)
    if len(key) != KEY_BYTES:
        raise BadInstallationError(f"{path} is damaged. Restore it from the backup.")
    return Vault(key)


def _read_private(path: Path) -> bytes | None:
    content = read_if_there(path)
    if content is not None and path.stat().st_mode & 0o077:
        raise BadInstallationError(f"{path} can be read by others. Run `chmod 600 {path}`.")
    return content


def _parse_key(path: Path, pem: bytes) -> PrivateKey:
    try:
        return PrivateKey.from_pem(pem)
    except MalformedError as error:
        raise BadInstallationError(f"{path} is damaged: {error}. Restore it from the backup.") from error
