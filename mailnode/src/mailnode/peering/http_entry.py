"""`POST /mxdeliv` from servers of others: chatmail relays, Madmail, and fleets that are not ours.

For: federation.endpoint, which sends on what shows no assertion of a node.
Not for: rules (reception.py).

    X-Mail-From: …              the sender; empty or missing for a report
    X-Mail-To: …                once for each recipient
    X-Madfleet-Delivery-Id: …   tells that the answer's list of refused recipients is read

400 malformed, or not proved · 403 not encrypted, or the policy · 404 no recipient · 413 · 429 · 503 · 507
"""

from collections.abc import Iterable

from mailnode.federation.delivery import (
    DELIVERY_ID_HEADER,
    MAIL_FROM_HEADER,
    MAIL_TO_HEADER,
    MAX_RECIPIENTS,
    may_travel,
)
from mailnode.federation.errors import DeliveryRefusedError, MalformedDeliveryError
from mailnode.peering.errors import LaterError, NobodyKnownError, ReceptionError
from mailnode.peering.reception import Arrival, Reception
from nodelink.contract.federation import PeerTransport

NO_RECIPIENT = "Missing X-Mail-To header"
BAD_ENVELOPE = "The sender or a recipient is no address"
TOO_MANY = f"More than {MAX_RECIPIENTS} recipients"
BAD_LINES = "Lines must end with CRLF, and CR or LF must not stand alone"


class PeerDeliveryError(DeliveryRefusedError):
    """A refusal of the reception, as HTTP says it."""

    def __init__(self, refusal: ReceptionError) -> None:
        super().__init__(str(refusal), refusal.public_text)
        self.status = refusal.status  # type: ignore[misc] # a class's own elsewhere; here it is the refusal's


def read_arrival(headers: Iterable[tuple[str, str]], source: str, transport: PeerTransport) -> Arrival:
    """Read the headers of a request.

    Raises:
        MalformedDeliveryError: There is no recipient, there are too many, or an address is none.
    """
    found: dict[str, list[str]] = {MAIL_FROM_HEADER: [], MAIL_TO_HEADER: [], DELIVERY_ID_HEADER: []}
    for name, value in headers:
        if name in found:
            found[name].append(value.strip())
    senders, recipients = found[MAIL_FROM_HEADER], tuple(dict.fromkeys(found[MAIL_TO_HEADER]))
    if not recipients:
        raise MalformedDeliveryError(NO_RECIPIENT, NO_RECIPIENT)
    if len(recipients) > MAX_RECIPIENTS:
        raise MalformedDeliveryError(TOO_MANY, TOO_MANY)
    sender = senders[0].removeprefix("<").removesuffix(">") if senders else ""
    if len(senders) > 1 or not all(map(may_travel, recipients)) or (sender and not may_travel(sender)):
        raise MalformedDeliveryError(BAD_ENVELOPE, BAD_ENVELOPE)
    return Arrival(source, transport, sender, recipients, knows_reports=bool(found[DELIVERY_ID_HEADER]))


async def begin(reception: Reception, arrival: Arrival) -> None:
    """Judge an arrival before anything of the message is read. Raises: PeerDeliveryError."""
    try:
        reception.admit_source(arrival.source)
        for recipient in arrival.recipients:
            if await _is_known(reception, recipient):
                return
        raise NobodyKnownError("No such user here")
    except ReceptionError as refusal:
        raise PeerDeliveryError(refusal) from refusal


async def finish(reception: Reception, arrival: Arrival, message: bytes) -> dict[str, str]:
    """Take a message; return who did not get it. Raises: DeliveryRefusedError."""
    check_lines(message)
    try:
        return await reception.take(arrival, message)
    except ReceptionError as refusal:
        raise PeerDeliveryError(refusal) from refusal


def check_lines(message: bytes) -> None:
    """Check that every line ends as mail's do. Raises: MalformedDeliveryError."""
    count = message.count(b"\n")
    if message.count(b"\r") != count or message.count(b"\r\n") != count:
        raise MalformedDeliveryError(BAD_LINES, BAD_LINES)


async def _is_known(reception: Reception, recipient: str) -> bool:
    """Tell whether mail for a recipient is taken. Raises: LaterError."""
    try:
        await reception.find_recipient(recipient)
    except LaterError:
        raise
    except ReceptionError:
        return False
    return True
