"""Moments and durations as text.

For: pure functions.
"""

from datetime import UTC, datetime

from controlplane.fleet_settings.errors import BadValueError
from controlplane.registration.token_models import LATEST_SECONDS


def read_moment(text: str) -> int:
    """Read a moment of RFC 3339, in seconds since 1970; without a zone, in UTC. Raises: BadValueError."""
    try:
        moment = datetime.fromisoformat(text)
        seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as error:
        raise BadValueError("a moment such as 2030-01-31T12:00:00Z") from error
    if not 0 <= seconds <= LATEST_SECONDS:
        raise BadValueError("a moment after 1970, such as 2030-01-31T12:00:00Z")
    return seconds


def write_duration(seconds: int) -> str:
    """Write a duration such as `1d 2h 3m 4s`, from the largest unit that is not 0."""
    parts = [
        (seconds // 86_400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "m"),
        (seconds % 60, "s"),
    ]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{count}{unit}" for count, unit in parts)


def write_moment(seconds: int) -> str:
    """Write a moment by RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
