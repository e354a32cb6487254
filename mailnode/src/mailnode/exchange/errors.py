"""Why an exchanger does not do what it is asked. Each text is a constant: it may be logged, and names nobody.

DeliveryRefusedError
├── NotListedError      403   a domain that its operator has not named
├── UnencryptedMailError 403  the encryption gate
├── TooManyHopsError    403   it has gone from exchanger to exchanger
├── RefusedBeyondError        the next server refuses it; its status, and its words, which are not logged
├── SourceTooFastError  429   the source sends too much
├── NoSpaceError        429   as much waits as may
├── WrongTokenError     401   no token, or none of that domain
├── TooManyTokensError  429   wrong tokens, one after the other
├── NoDomainError       400   the token opens several domains, and none is named
└── BadAcknowledgementError 400

429 and not 507 where there is no space: it is for a while, and senders take 507 for a mailbox that is full.
"""

from mailnode.federation.errors import DeliveryRefusedError


class NotListedError(DeliveryRefusedError):
    """The domain is none that its operator has named."""

    status = 403
    public_text = "This exchanger takes no mail for this domain: its operator has not listed it"


class UnencryptedMailError(DeliveryRefusedError):
    """The message is not encrypted."""

    status = 403
    public_text = "Encryption Needed: Invalid Unencrypted Mail"


class TooManyHopsError(DeliveryRefusedError):
    """The message goes from exchanger to exchanger, perhaps in a circle."""

    status = 403
    public_text = "The message has passed too many exchangers"


class RefusedBeyondError(DeliveryRefusedError):
    """The next server will never take the message. What it has answered is told, but not logged."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__("The next server has refused it", text)
        self.status = status  # type: ignore[misc] # a class's own elsewhere; here it is the next server's


class SourceTooFastError(DeliveryRefusedError):
    """The source sends more than it may."""

    status = 429
    public_text = "Too many messages from this address; try again later"


class NoSpaceError(DeliveryRefusedError):
    """As much waits as may, for this domain or in all."""

    status = 429
    public_text = "This exchanger has no space for this domain now; try again later"


class WrongTokenError(DeliveryRefusedError):
    """There is no token, or it does not open this domain."""

    status = 401
    public_text = "This needs the token of the domain, as Authorization: Bearer TOKEN"


class TooManyTokensError(DeliveryRefusedError):
    """Wrong tokens come one after the other."""

    status = 429
    public_text = "Too many wrong tokens from this address; the right one is still taken"


class NoDomainError(DeliveryRefusedError):
    """The token opens several domains, and the request names none of them."""

    status = 400
    public_text = "This token opens several domains: ask for /pull?domain=DOMAIN"


class BadAcknowledgementError(DeliveryRefusedError):
    """What should tell the messages that were fetched does not."""

    status = 400
    public_text = 'This needs {"ids": [...]}, with ids that /pull has told'
