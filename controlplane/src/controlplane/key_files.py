"""The control plane's master key, as a file in its state directory that only its owner reads.

    master-key         encrypts and hashes what stands in the database (vault.py), signing keys included
    signing-key.pem    where earlier versions kept the signing key; it is moved into the database

For: making the master key at the first start, and reading it ever after. Without it the database is of no
use, so `madfleet backup` keeps both.
Not for: secrets that are shared with nodes, nor signing keys; those are in the database, as ciphertext.
"""

from pathlib import Path
from secrets import token_bytes

from controlplane.errors import BadInstallationError
from controlplane.vault import KEY_BYTES, Vault
from nodelink.channel.files import read_if_there, write_durably
from nodelink.contract.errors import MalformedError
from nodelink.contract.keys import PrivateKey

MASTER_KEY = "master-key"
FORMER_SIGNING_KEY = "signing-key.pem"


def load_vault(directory: Path) -> Vault:
    """Read the master key; make it, if there is none yet.

    Raises:
        BadInstallationError: The file holds something else, or others can read it.
    """
    path = directory / MASTER_KEY
    key = _read_private(path)
    if key is None:
        key = token_bytes(KEY_BYTES)
        write_durably(path, key)
    if len(key) != KEY_BYTES:
        raise BadInstallationError(f"{path} is damaged. Restore it from the backup.")
    return Vault(key)


def read_former_signing_key(directory: Path) -> PrivateKey | None:
    """Read the signing key of an earlier version; `None` where there is no such file.

    Raises:
        BadInstallationError: The file holds something else, or others can read it.
    """
    path = directory / FORMER_SIGNING_KEY
    pem = _read_private(path)
    if pem is None:
        return None
    try:
        return PrivateKey.from_pem(pem)
    except MalformedError as error:
        raise BadInstallationError(f"{path} is damaged: {error}. Restore it from the backup.") from error


def forget_former_signing_key(directory: Path) -> None:
    """Remove the file of an earlier version, after the database has the key. Raises: OSError."""
    (directory / FORMER_SIGNING_KEY).unlink(missing_ok=True)


def _read_private(path: Path) -> bytes | None:
    content = read_if_there(path)
    if content is not None and path.stat().st_mode & 0o077:
        raise BadInstallationError(f"{path} can be read by others. Run `chmod 600 {path}`.")
    return content
