"""Stay signed in on the pages: a cookie says whose token was shown and until when, under a keyed hash.

For: pages that any replica may answer; nothing is kept, and revoking the token ends its sessions.
Not for: the Admin API, which takes the token itself.
"""

import re
from hmac import compare_digest

from controlplane.vault import Vault

VALID_FOR_SECONDS = 12 * 3600
COOKIE = "__Host-madfleet"
"""The prefix makes browsers refuse the cookie over HTTP, or for other hosts (RFC 6265bis section 4.1.3.2)."""

_SESSION = re.compile(r"([0-9]{1,18})\.([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)


def write_session(vault: Vault, token_id: int, now_seconds: int) -> str:
    """Write a session that begins now."""
    content = f"{token_id}.{now_seconds + VALID_FOR_SECONDS}"
    return f"{content}.{vault.hash('web session', content)}"


def read_session(vault: Vault, session: str, now_seconds: int) -> int | None:
    """Read whose token a session is of; `None` for one that is forged or over."""
    match = _SESSION.fullmatch(session)
    if match is None:
        return None
    token_id, expires_at, seal = match.groups()
    is_ours = compare_digest(seal, vault.hash("web session", f"{token_id}.{expires_at}"))
    return int(token_id) if is_ours and now_seconds < int(expires_at) else None


def write_form_key(vault: Vault, session: str) -> str:
    """Write what each form of a session carries, so that no other site can send one."""
    return vault.hash("form", session)


def is_form_key(vault: Vault, session: str, key: str) -> bool:
    """Tell whether a form was shown in this session."""
    return compare_digest(write_form_key(vault, session).encode(), key.encode())
