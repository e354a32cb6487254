"""Read the signing keys, and make the first one.

    number   1 ── 2 ── … ── n        n + 1
             replaced: no private    present    next, if a rotation is under way
             half any more           signs      is announced

For: whoever signs, or says which keys count.
Not for: rotation (service.py).

The keys stand in the database, encrypted by the master key: so switching to the next one, and raising the
revision of every node for it, is one transaction, and a backup of the database cannot come between the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from controlplane.errors import BadInstallationError
from controlplane.key_files import read_former_signing_key
from controlplane.signing.models import SigningKey
from controlplane.vault import Vault
from nodelink.contract.errors import MalformedError
from nodelink.contract.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The key that signs, and every public key that nodes are to trust from now on, that one first."""

    current: PrivateKey
    trusted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyRows:
    """The rows that count: `next` is `None` while no rotation is under way."""

    present: SigningKey
    next: SigningKey | None

    @property
    def trusted(self) -> tuple[str, ...]:
        """Every public key that nodes are to trust from now on, the newest last."""
        return (self.present.public_key, *([self.next.public_key] if self.next else ()))


def read_key_rows(session: Session) -> KeyRows:
    """Read which key is the present one, and which is next.

    Raises:
        BadInstallationError: There is none.
    """
    newest = session.exec(select(SigningKey).order_by(col(SigningKey.number).desc()).limit(2)).all()
    match newest:
        case [present, *_] if present.in_force_at_seconds is not None:
            return KeyRows(present, None)
        case [following, present]:
            return KeyRows(present, following)
        case _:
            raise BadInstallationError("The database has no signing key. Restore it from the backup.")


def read_signing_keys(session: Session, vault: Vault) -> SigningKeys:
    """Read the key that signs now.

    Raises:
        BadInstallationError: It was encrypted with another master key.
    """
    rows = read_key_rows(session)
    return SigningKeys(open_key(vault, rows.present), rows.trusted)


def read_key_changes(session: Session, trusted: Sequence[str]) -> list[str]:
    """Read the signed key changes that lead from the newest key of `trusted` to the newest of all.

    There are none for keys that are not ours.
    """
    rows = session.exec(select(SigningKey).order_by(col(SigningKey.number))).all()
    known = max((row.number for row in rows if row.public_key in trusted), default=None)
    if known is None:
        return []
    return [row.change_document for row in rows if row.number > known and row.change_document is not None]


def is_any_known(session: Session, trusted: Sequence[str]) -> bool:
    """Tell whether one of these keys is, or was, one of ours."""
    known = select(SigningKey.number).where(col(SigningKey.public_key).in_(trusted)).limit(1)
    return session.exec(known).first() is not None


def seal_key(vault: Vault, number: int, key: PrivateKey) -> str:
    """Encrypt a key for its row."""
    return vault.seal(f"signing-key-{number}", key.to_pem().decode())


def open_key(vault: Vault, row: SigningKey) -> PrivateKey:
    """Decrypt a key that still signs, or will.

    Raises:
        BadInstallationError: It was encrypted with another master key, or is gone.
    """
    if row.sealed is None:
        raise BadInstallationError("The database has no private signing key. Restore it from the backup.")
    pem = vault.open(f"signing-key-{row.number}", row.sealed)
    try:
        return PrivateKey.from_pem(pem.encode())
    except MalformedError as error:
        raise BadInstallationError("The signing key is damaged. Restore it from the backup.") from error


def prepare_first_key(session: Session, vault: Vault, directory: Path, now_seconds: int) -> None:
    """Make the first key if there is none; a file in which earlier versions kept theirs is taken over.

    Raises:
        BadInstallationError: That file holds something else, or others can read it.
    """
    if session.exec(select(SigningKey.number).limit(1)).first() is not None:
        return
    key = read_former_signing_key(directory) or PrivateKey.generate()
    first = {
        "number": 1,
        "public_key": key.public.x,
        "sealed": seal_key(vault, 1, key),
        "change_document": None,
        "announced_at_seconds": now_seconds,
        "in_force_at_seconds": now_seconds,
    }
    session.add(SigningKey.model_validate(first))
