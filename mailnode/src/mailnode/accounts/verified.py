"""Passwords that were verified a while ago, so that a reconnect costs microseconds, not an argon2id run.

For: accounts.py.
Not for: anything that outlives the process: only keyed digests are kept, and the key is this process's own.
"""

import hmac
import secrets
from hashlib import blake2b

from mailnode.store.mail_store import Account, AccountId

MAX_VERIFIED = 65_536


class VerifiedCredentials:
    """Remembers one verified password per account; the account longest unused is forgotten first.

    A digest covers the stored hash, too: with another hash, whatever was remembered is worth nothing.
    """

    def __init__(self, max_entries: int = MAX_VERIFIED) -> None:
        self._max_entries = max_entries
        self._key = secrets.token_bytes(32)
        self._digests: dict[AccountId, bytes] = {}

    def remember(self, account: Account, password: str) -> None:
        """Keep that this password has been verified."""
        self._digests.pop(account.id, None)
        while len(self._digests) >= self._max_entries:
            del self._digests[next(iter(self._digests))]
        self._digests[account.id] = self._digest(account, password)

    def is_known(self, account: Account, password: str) -> bool:
        """Tell whether this very password was verified before."""
        digest = self._digests.get(account.id)
        if digest is None or not hmac.compare_digest(digest, self._digest(account, password)):
            return False
        self._digests[account.id] = self._digests.pop(account.id)  # the youngest again
        return True

    def forget(self, account_id: AccountId) -> None:
        """Drop what is known of an account."""
        self._digests.pop(account_id, None)

    def _digest(self, account: Account, password: str) -> bytes:
        secret = f"{account.password_hash}\0{password}".encode()
        return blake2b(secret, key=self._key, digest_size=32).digest()
