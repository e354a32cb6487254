"""From the text of a setting to what policy holds.

For: pure functions. Limits are those of policy.
Not for: who decides a setting (catalogue.py).
"""

import re

from controlplane.fleet_settings.errors import BadValueError
from controlplane.policy.models import (
    LARGEST_MESSAGE_BYTES,
    LARGEST_QUOTA_BYTES,
    SECONDS_PER_DAY,
    SMALLEST_MESSAGE_BYTES,
    SMALLEST_QUOTA_BYTES,
)
from controlplane.policy.quantities import parse_size
from nodelink.contract.states import MAX_DAYS

LONGEST_TURN_DAYS = 30
SHORTEST_SECRET, LONGEST_SECRET = 16, 253
MAX_PERIOD_SECONDS = MAX_DAYS * SECONDS_PER_DAY

_PERIOD = re.compile(r"([0-9]{1,12})([dhms])", re.ASCII)
_PERIOD_SECONDS = {"d": SECONDS_PER_DAY, "h": 3600, "m": 60, "s": 1}
_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)
_SECRET = re.compile(r"[A-Za-z0-9.:/@_-]*", re.ASCII)


def read_message_bytes(text: str) -> int:
    """Read the size of a message. Raises: BadValueError."""
    size_bytes = parse_size(text)
    if size_bytes is None or not SMALLEST_MESSAGE_BYTES <= size_bytes <= LARGEST_MESSAGE_BYTES:
        raise BadValueError("a size from 64K to 1G, such as 30M")
    return size_bytes


def read_quota_bytes(size_bytes: int) -> int:
    """See that a number is a quota. Raises: BadValueError."""
    if not SMALLEST_QUOTA_BYTES <= size_bytes <= LARGEST_QUOTA_BYTES:
        raise BadValueError("a quota is from 1048576 bytes to 1024 TiB")
    return size_bytes


def read_period_seconds(text: str) -> int:
    """Read a period such as 30d, 12h, 30m or 90s; a second at least. Raises: BadValueError."""
    match = _PERIOD.fullmatch(text.strip())
    seconds = int(match[1]) * _PERIOD_SECONDS[match[2]] if match else 0
    if not 0 < seconds <= MAX_PERIOD_SECONDS:
        raise BadValueError("a period from 1s to 3650d, such as 30d, 12h or 30m")
    return seconds


def read_retention_days(text: str) -> int:
    """Read how many days messages stay. Raises: BadValueError."""
    seconds = read_period_seconds(text)
    if seconds % SECONDS_PER_DAY:
        raise BadValueError("whole days, such as 30d or 48h")
    return seconds // SECONDS_PER_DAY


def read_turn_lifetime(text: str) -> int:
    """Read the validity of TURN credentials. Raises: BadValueError."""
    seconds = int(text) if _NUMBER.fullmatch(text.strip()) else 0
    if not SECONDS_PER_DAY <= seconds <= LONGEST_TURN_DAYS * SECONDS_PER_DAY:
        raise BadValueError("seconds from 86400 (a day) to 2592000 (30 days)")
    return seconds


def read_turn_secret(text: str) -> str:
    """See that a text is a TURN secret. Raises: BadValueError."""
    if not SHORTEST_SECRET <= len(text) <= LONGEST_SECRET or not _SECRET.fullmatch(text):
        raise BadValueError("16 to 253 letters, digits and any of . : / @ - _")
    return text


def read_port(text: str) -> int:
    """Read a port. Raises: BadValueError."""
    port = int(text) if _NUMBER.fullmatch(text.strip()) else 0
    if not 1 <= port <= 65_535:
        raise BadValueError("a port from 1 to 65535")
    return port
