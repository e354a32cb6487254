"""The admin token that stands in the settings: an owner of the whole fleet who needs no database.

For: recognising it, and giving it an id that web sessions can carry.
Not for: tokens in the database (tokens.py).
"""

from dataclasses import dataclass
from hmac import compare_digest

from controlplane.settings import ControlPlaneSettings
from controlplane.vault import Vault

STATIC_PREFIX = "settings"
PURPOSE = "static admin token"
ID_OFFSET = 1 << 56
"""Ids of the database never come this far."""
ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class StaticToken:
    """The token in the settings, as its keyed hash. A changed token has another id, so old sessions end."""

    name: str
    id: int
    _hash: str

    def is_right(self, vault: Vault, token: str) -> bool:
        """Tell whether this is the token."""
        return compare_digest(vault.hash(PURPOSE, token), self._hash)


def read_static_token(settings: ControlPlaneSettings, vault: Vault) -> StaticToken | None:
    """Read the token in the settings; `None` where there is none."""
    if settings.admin_token is None:
        return None
    digest = vault.hash(PURPOSE, settings.admin_token.get_secret_value())
    return StaticToken(settings.admin_token_name, ID_OFFSET + int(digest[:ID_DIGITS], 16), digest)
