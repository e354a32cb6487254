"""Why another node's delivery is not taken, and what it is told.

DeliveryRefusedError
├── MalformedDeliveryError  400   no delivery, not complete, or not the one that was signed
├── NotAdmittedError        401   of nobody who may hand mail over
├── NotPermittedError       403   a sender of another domain, or not encrypted
├── NobodyHereError         404   no recipient has an account here
├── TooLargeError           413
├── TryLaterError           503   nothing was stored, and it may come again
└── MailboxesFullError      507   no recipient has room
"""

from typing import ClassVar

NO_SUCH_USER = "No such user here"
MAILBOX_FULL = "Mailbox full"


class DeliveryRefusedError(Exception):
    """A delivery is refused as a whole. `detail` is for our log, `public_text` is told."""

    status: ClassVar[int]
    public_text: str

    def __init__(self, detail: str = "", public_text: str | None = None) -> None:
        super().__init__(detail)
        if public_text is not None:
            self.public_text = public_text


class MalformedDeliveryError(DeliveryRefusedError):
    """It is no delivery, not complete, or not the one that was signed."""

    status = 400
    public_text = "This is no delivery, or not the one that was signed"


class NotAdmittedError(DeliveryRefusedError):
    """It is of nobody who may hand mail over; why is not told."""

    status = 401
    public_text = "Only nodes of this fleet deliver here"


class NotPermittedError(DeliveryRefusedError):
    """The sender is none of the node that delivers, or the message is not encrypted."""

    status = 403
    public_text = "The sender is not of the node that delivers"


class NobodyHereError(DeliveryRefusedError):
    """None of the recipients has an account here."""

    status = 404
    public_text = NO_SUCH_USER


class TooLargeError(DeliveryRefusedError):
    """The message is larger than is taken here."""

    status = 413
    public_text = "Message too large"


class TryLaterError(DeliveryRefusedError):
    """It cannot be stored now."""

    status = 503
    public_text = "Try again later"


class MailboxesFullError(DeliveryRefusedError):
    """Nobody who has an account here has room for the message."""

    status = 507
    public_text = MAILBOX_FULL
