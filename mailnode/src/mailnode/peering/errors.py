"""Why mail cannot be sent to a peer, or is not taken from one.

RouteError                         `public_text` goes into the report to the sender
├── NoRouteError                   there will be none: the report is written now
└── RouteUnknownError              it cannot be told now: try again later

ReceptionError                     both doors tell `public_text`, each in its own way
├── PeerRefusedError               550 · 403   the policy of this fleet
├── NotEncryptedError              523 · 403   the encryption gate
├── NotProvenError                 554 · 400   who wrote it is not proved
├── NobodyKnownError               550 · 404   no recipient has an account here
├── NoRoomError                    552 · 507   no recipient has room
├── OversizeError                  552 · 413   it is larger than is taken
├── TooMuchError                   450 · 429   the source sends too much
└── LaterError                     451 · 503   it cannot be judged or stored now
"""

from typing import ClassVar


class RouteError(Exception):
    """There is no way to a domain."""

    def __init__(self, public_text: str) -> None:
        super().__init__(public_text)
        self.public_text = public_text


class NoRouteError(RouteError):
    """There will be none, however often it is tried."""


class RouteUnknownError(RouteError):
    """It cannot be told now."""


class ReceptionError(Exception):
    """A message is not taken. `str()` is for our log, `public_text` is told."""

    code: ClassVar[int]
    enhanced: ClassVar[str]
    status: ClassVar[int]

    def __init__(self, public_text: str, detail: str = "") -> None:
        super().__init__(detail or public_text)
        self.public_text = public_text


class PeerRefusedError(ReceptionError):
    """The policy of this fleet lets no mail of the domain in."""

    code, enhanced, status = 550, "5.7.1", 403


class NotEncryptedError(ReceptionError):
    """The message is not encrypted."""

    code, enhanced, status = 523, "5.7.1", 403


class NotProvenError(ReceptionError):
    """It is not proved that the author wrote the message."""

    code, enhanced, status = 554, "5.7.1", 400


class NobodyKnownError(ReceptionError):
    """No recipient has an account here."""

    code, enhanced, status = 550, "5.1.1", 404


class NoRoomError(ReceptionError):
    """No recipient has room for the message."""

    code, enhanced, status = 552, "5.2.2", 507


class OversizeError(ReceptionError):
    """The message is larger than is taken. Both doors say so themselves, before they have read it."""

    code, enhanced, status = 552, "5.3.4", 413


class TooMuchError(ReceptionError):
    """The source sends more than it may."""

    code, enhanced, status = 450, "4.7.1", 429


class LaterError(ReceptionError):
    """It cannot be judged or stored now."""

    code, enhanced, status = 451, "4.3.0", 503
