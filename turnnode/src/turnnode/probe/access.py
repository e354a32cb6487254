"""What a probe is asked to do: which TURN node, by which ways, with how much data.

For: the command, which is loaded with every other command, and must not load aiortc for that.
Not for: doing it (sides.py).
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from turnnode.errors import ProbeFailedError
from turnnode.stun.attributes import Address

DEFAULT_PORT: Final = 3478
_URL = re.compile(
    r"(?P<scheme>turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:?@/\s]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?:\?transport=(?P<transport>\w+))?"
)


class IcePolicy(StrEnum):
    """Which ways a call may take."""

    ALL = "all"
    RELAY = "relay"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAccess:
    """How to use the TURN node; `url` as apps get it: `turn:HOST:PORT`."""

    url: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a call carries, and how long it may take to come about."""

    seconds: float = 5
    packets_per_second: int = 50
    connect_deadline_seconds: float = 20


def server_of(url: str) -> Address:
    """Return host and port of a TURN URL, the host without brackets.

    Raises:
        ProbeFailedError: It is no URL of a TURN node over UDP.
    """
    parsed = _URL.fullmatch(url)
    port = int(parsed["port"] or DEFAULT_PORT) if parsed else 0
    if parsed is None or not 1 <= port <= 65_535:
        raise ProbeFailedError(f"{url} is no TURN address. Write turn:HOST:PORT.")
    if parsed["scheme"] != "turn" or parsed["transport"] not in {None, "udp"}:
        raise ProbeFailedError(f"{url} is not TURN over UDP. Write turn:HOST:PORT.")
    return parsed["host"].strip("[]"), port
