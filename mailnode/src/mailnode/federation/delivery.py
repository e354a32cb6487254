"""What one node hands over to another, and what that says to it.

For: both sides of `/mxdeliv`; pure functions.
Not for: sending (lane.py) and taking (endpoint.py).

    X-Madfleet-Delivery-Id: …   the same at each attempt
    X-Mail-From: …              one sender
    X-Mail-To: …                once for each recipient
                                the body is the message, unchanged
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe

from mailnode.federation.errors import MalformedDeliveryError
from mailnode.store.mail_store import Envelope

DELIVERY_PATH = "/mxdeliv"
DELIVERY_ID_HEADER = "x-madfleet-delivery-id"
MAIL_FROM_HEADER = "x-mail-from"
MAIL_TO_HEADER = "x-mail-to"
MAX_RECIPIENTS = 500
MAX_ENVELOPE_BYTES = 8_192
"""All recipients of one request together: they travel in its head, which has 16 KiB."""
MAX_REASON_CHARACTERS = 200
LARGE_MESSAGE_BYTES = 262_144
"""From here on, a message is looked at in a thread: that many bytes take about a millisecond."""

ONE_ID = "it needs one delivery id of 16 to 64 characters"
ONE_SENDER = "it needs one sender"

_DELIVERY_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_ADDRESS = re.compile(r"[\x21-\x3f\x41-\x7e]{1,64}@[\x21-\x3f\x41-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is handed over, without the message."""

    id: str
    mail_from: str
    recipients: tuple[str, ...]

    def digest(self, message: bytes) -> str:
        """Compute what the sender signs: all of it, message included."""
        head = "\n".join((self.id, self.mail_from, *self.recipients)).encode() + b"\n\n"
        return sha256(head + sha256(message).digest()).hexdigest()

    def write_headers(self) -> list[tuple[str, str]]:
        """Write the headers of the request."""
        return [
            (DELIVERY_ID_HEADER, self.id),
            (MAIL_FROM_HEADER, self.mail_from),
            *((MAIL_TO_HEADER, recipient) for recipient in self.recipients),
        ]


def read_headers(headers: Iterable[tuple[str, str]]) -> Delivery:
    """Read the headers of a request.

    Raises:
        MalformedDeliveryError: One is missing, there too often, or not what it should be.
    """
    found: dict[str, list[str]] = {DELIVERY_ID_HEADER: [], MAIL_FROM_HEADER: [], MAIL_TO_HEADER: []}
    for name, value in headers:
        if name in found:
            found[name].append(value)
    ids, senders, recipients = found.values()
    if len(ids) != 1:
        raise MalformedDeliveryError(ONE_ID)
    if len(senders) != 1:
        raise MalformedDeliveryError(ONE_SENDER)
    return check_delivery(ids[0], senders[0], recipients)


def check_delivery(id_: str, sender: str, recipients: Sequence[str]) -> Delivery:
    """Make a delivery of what another node says.

    Raises:
        MalformedDeliveryError: Something is not what it should be.
    """
    if not _DELIVERY_ID.fullmatch(id_):
        raise MalformedDeliveryError(ONE_ID)
    if not _ADDRESS.fullmatch(sender):
        raise MalformedDeliveryError(ONE_SENDER)
    if not 1 <= len(recipients) <= MAX_RECIPIENTS or not all(map(_ADDRESS.fullmatch, recipients)):
        raise MalformedDeliveryError(f"it needs 1 to {MAX_RECIPIENTS} recipients")
    return Delivery(id_, sender, tuple(dict.fromkeys(recipients)))


def plan_envelopes(sender: str, recipients: Mapping[str, str]) -> list[Envelope]:
    """Put recipients (address: its domain) into envelopes, one for each domain or more if they are many."""
    by_domain: dict[str, list[str]] = {}
    for address, domain in recipients.items():
        by_domain.setdefault(domain, []).append(address)
    return [
        Envelope(token_urlsafe(18), domain, sender, part)
        for domain, addresses in by_domain.items()
        for part in _divide(addresses)
    ]


def may_travel(address: str) -> bool:
    """Tell whether an address can stand in a header as it is."""
    return _ADDRESS.fullmatch(address) is not None


def write_refused(refused: Mapping[str, str]) -> str:
    """Write who did not get a delivery that others got, each with the reason."""
    return json.dumps({"refused": dict(refused)})


def read_refused(text: bytes) -> dict[str, str]:
    """Read who did not get it; an answer that says nothing of that kind says that all got it."""
    refused = read_object(text).get("refused")
    return tidy_refused(refused) if isinstance(refused, dict) else {}


def read_object(text: bytes) -> dict[str, object]:
    """Read an object of JSON; an empty one from what is none."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def tidy_refused(refused: Mapping[str, object]) -> dict[str, str]:
    """Make the reasons that another node gave fit to be shown."""
    return {address: tidy_reason(str(reason)) for address, reason in refused.items()}


def tidy_reason(text: str) -> str:
    """Make a reason that another node gave fit to be shown: one short line of ASCII."""
    line = " ".join(text.split())[:MAX_REASON_CHARACTERS]
    return "".join(character if " " <= character <= "~" else "?" for character in line)


def _divide(addresses: Sequence[str]) -> list[tuple[str, ...]]:
    parts: list[list[str]] = [[]]
    size_bytes = 0
    for address in addresses:
        if len(parts[-1]) >= MAX_RECIPIENTS or size_bytes + len(address) > MAX_ENVELOPE_BYTES:
            parts.append([])
            size_bytes = 0
        parts[-1].append(address)
        size_bytes += len(address) + len(MAIL_TO_HEADER) + 4
    return [tuple(part) for part in parts if part]
