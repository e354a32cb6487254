"""Keep the port above an even one for the client that has asked for it, for half a minute.

    Allocate with EVEN-PORT, R set ─▶ two ports, RESERVATION-TOKEN ─▶ Allocate with the token: the other one
                                                                └──▶ 30 s pass: closed

For: the rare client that wants RTP and RTCP on neighbouring ports.
Not for: which ports those are (ports.py).

A token is good for the credential that it was given to, and counts like an allocation towards its quota.

Source: RFC 8656 sections 7.2, 18.7 and 18.10.
"""

import os
from dataclasses import dataclass
from typing import Final

from turnnode.relay.allocation import RelayPort

RESERVATION_SECONDS: Final = 30
TOKEN_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Reservation:
    """An open port that waits for its client."""

    port: RelayPort
    username: str
    expires_at: float


class Reservations:
    """The ports that wait."""

    def __init__(self) -> None:
        self._by_token: dict[bytes, Reservation] = {}

    def __len__(self) -> int:
        return len(self._by_token)

    def held_by(self, username: str) -> int:
        """Return how many ports wait for one credential."""
        return sum(1 for each in self._by_token.values() if each.username == username)

    def add(self, port: RelayPort, username: str, now: float) -> bytes:
        """Let an open port wait; return the token that fetches it."""
        token = os.urandom(TOKEN_BYTES)
        self._by_token[token] = Reservation(port, username, now + RESERVATION_SECONDS)
        return token

    def take(self, token: bytes, username: str, now: float) -> RelayPort | None:
        """Fetch a port; `None` if no port waits under this token for this credential."""
        reservation = self._by_token.get(token)
        if reservation is None or reservation.username != username or reservation.expires_at <= now:
            return None
        del self._by_token[token]
        return reservation.port

    def expire(self, now: float) -> None:
        """Close the ports that nobody has fetched in time."""
        for token in [token for token, each in self._by_token.items() if each.expires_at <= now]:
            self._by_token.pop(token).port.close()
