"""Make TURN credentials for accounts, as Delta Chat expects them.

For: METADATA `/shared/vendor/deltachat/turn`, whose value is `host:port:expiry:password`.
Not for: checking them; the TURN node does, with the same secret.

A credential's user name is nothing but the second at which it expires, so the second itself must tell
accounts apart. Time is cut into windows; in each, every account has a second of its own while they last:

    │◀──────────── window ────────────▶│◀──────────── window ────────────▶│
      second = start + residue + modulus × slot,   slot = account id mod number of slots

An account keeps its credential for a whole window, and two mail nodes never share one, because they have
different residues.
"""

from base64 import b64encode
from hashlib import sha1
from hmac import digest

from nodelink.contract.states import TurnAccess

SHORTEST_LIFETIME_SECONDS = 18 * 3600
"""Apps renew a credential when less than 12 hours are left; a shorter one would be renewed without end."""


def choose_expiry(account: int, access: TurnAccess, now_seconds: int) -> int:
    """Choose the second at which an account's credential expires.

    It is at least `SHORTEST_LIFETIME_SECONDS` and at most `access.lifetime_seconds` from now.
    """
    slots = (access.lifetime_seconds - SHORTEST_LIFETIME_SECONDS) // access.modulus
    window_seconds = slots * access.modulus
    offset = access.residue + access.modulus * (account % slots)
    earliest = now_seconds + SHORTEST_LIFETIME_SECONDS
    # The windows begin at multiples of their own length; the modulus divides that, so the residue is kept.
    return earliest + (offset - earliest) % window_seconds


def make_turn_entry(account: int, access: TurnAccess, now_seconds: int) -> str:
    """Write the METADATA value. Source: draft-uberti-behave-turn-rest-00 section 2.2 (the password)."""
    expiry = choose_expiry(account, access, now_seconds)
    password = b64encode(digest(access.secret.encode(), str(expiry).encode(), sha1)).decode()
    return f"{access.host}:{access.port}:{expiry}:{password}"
