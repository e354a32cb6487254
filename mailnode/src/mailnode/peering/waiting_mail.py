"""Read what an exchanger has for us: a list of messages in JSON.

    GET /pull?domain=D   [{…}, …] or {"messages": [{…}, …]}      then POST /pull/ack {"ids": […]}
    GET /me/full         {"hash": …, "count": n, "messages": [{…}, …]}, which needs no ack

    {"id": …, "from": …, "to": […], "body": "<base64 of RFC 5322>"}, with `size` and `date` that nobody needs

Our own exchanger tells `"more": true` beside its messages where these are not all.

For: exchangers.py. Pure functions.
Not for: what a message must be; that is judged as at every door (reception.py).

Source: what Madmail's and madexchanger's servers answer.
"""

import json
from base64 import b64decode
from dataclasses import dataclass, field
from hashlib import sha256

from pydantic import JsonValue

from mailnode.federation.delivery import MAX_RECIPIENTS, may_travel

MAX_MESSAGES = 1_000
"""Of one answer; the others come with the next one."""
MAX_ID_CHARACTERS = 200


class StrangeListError(Exception):
    """It is no list of messages."""


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """A message at an exchanger. `problem` says why nobody could take it; `None` for one that is whole."""

    id: str
    mail_from: str
    recipients: tuple[str, ...]
    body: bytes = field(repr=False)
    problem: str | None = None

    @property
    def digest(self) -> bytes:
        """What tells it from others, also from one that has got its id later."""
        head = "\n".join((self.id, self.mail_from, *self.recipients)).encode("utf-8", "surrogatepass")
        return sha256(head + b"\n\n" + self.body).digest()


@dataclass(frozen=True, slots=True)
class WaitingList:
    """What an answer tells. `has_more` says that more waits than is told."""

    messages: list[WaitingMail]
    has_more: bool = False


def read_waiting(content: bytes) -> WaitingList:
    """Read an answer; entries without an id are left out, for nobody could say that they were taken.

    Raises:
        StrangeListError: It is nothing of the kind.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StrangeListError("the answer is no JSON") from error
    entries = document.get("messages") if isinstance(document, dict) else document
    if entries is None and isinstance(document, dict) and document.get("count", 0) == 0:
        return WaitingList([])
    if not isinstance(entries, list):
        raise StrangeListError("the answer has no list of messages")
    found = [_read_entry(entry) for entry in entries[:MAX_MESSAGES] if isinstance(entry, dict)]
    has_more = isinstance(document, dict) and document.get("more") is True
    return WaitingList([entry for entry in found if entry is not None], has_more)


def _read_entry(entry: dict[str, JsonValue]) -> WaitingMail | None:
    id_ = entry.get("id")
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    if not isinstance(id_, str) or not 0 < len(id_) <= MAX_ID_CHARACTERS:
        return None
    try:
        sender, recipients = _read_envelope(entry)
        body = _read_body(entry.get("body"))
    except ValueError as error:
        return WaitingMail(id_, "", (), b"", str(error))
    return WaitingMail(id_, sender, recipients, body)


def _read_envelope(entry: dict[str, JsonValue]) -> tuple[str, tuple[str, ...]]:
    sender, named = entry.get("from"), entry.get("to")
    sender = sender.strip().removeprefix("<").removesuffix(">") if isinstance(sender, str) else ""
    recipients = [named] if isinstance(named, str) else named
    if not isinstance(recipients, list) or not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise ValueError("it is for nobody, or for too many")
    texts = [each.strip() for each in recipients if isinstance(each, str)]
    addresses = [text.removeprefix("<").removesuffix(">") for text in texts]
    if len(addresses) < len(recipients) or not all(map(may_travel, addresses)):
        raise ValueError("a recipient is no address")
    if sender and not may_travel(sender):
        raise ValueError("the sender is no address")
    return sender, tuple(dict.fromkeys(addresses))


def _read_body(value: JsonValue) -> bytes:
    if not isinstance(value, str) or not value.isascii():
        raise ValueError("it has no body")
    body = b64decode("".join(value.split()), validate=True)  # binascii.Error is a ValueError
    if b"\r" not in body:
        body = body.replace(b"\n", b"\r\n")  # lines as some programs keep them; signatures are over CRLF
    count = body.count(b"\n")
    if not body or body.count(b"\r") != count or body.count(b"\r\n") != count:
        raise ValueError("CR or LF stands alone in it")
    return body
