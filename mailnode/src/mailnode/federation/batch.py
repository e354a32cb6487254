"""Several deliveries in one request between nodes of a fleet, and what is answered to each of them.

For: both sides of `/mxdeliv/batch`; pure functions.
Not for: large messages, which go alone (delivery.py), or for when something is sent (lane.py).

    [{"id": …, "from": …, "to": […], "bytes": n}, …]⏎      one line
    message message …                                       in that order, unchanged, nothing between them

    {"batch": 1, "answers": [{"status": 200, "refused": {…}}, {"status": 404, "reason": …}, …]}

A node that understands this says so in each of its answers: `batch` is the highest version it reads. To one
that has not said so, as those of an older release, messages go one by one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from mailnode.federation.delivery import (
    LARGE_MESSAGE_BYTES,
    MAX_RECIPIENTS,
    Delivery,
    check_delivery,
    read_object,
    tidy_reason,
    tidy_refused,
)
from mailnode.federation.errors import MalformedDeliveryError
from mailnode.federation.retry import Delivered, Outcome, judge_status
from mailnode.store.mail_store import Outgoing

BATCH_PATH = "/mxdeliv/batch"
VERSION = 1
MAX_BATCH_MESSAGES = 64
MAX_BATCH_BYTES = LARGE_MESSAGE_BYTES
"""Of a whole request: what one node works on without a pause, so that nobody waits for others' mail."""
ENTRY_BYTES = 128
"""What a delivery's entry has beside its addresses, at most."""

_LINE_BYTES = 3  # its brackets and its end


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one delivery: the status that it had got alone, and who did not get it, or why."""

    status: int
    refused: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def plan_requests(rows: Sequence[Outgoing], max_requests: int) -> list[list[Outgoing]]:
    """Put together what may travel together, in the order of `rows`; what does not fit waits.

    Large messages go alone, and what was tried before: it may be what a request failed of.
    """
    requests: list[list[Outgoing]] = []
    joined: list[Outgoing] = []
    size_bytes = recipient_count = 0
    for row in rows:
        row_bytes, row_recipients = _measure(row), len(row.envelope.recipients)
        is_alone = row.attempt_count > 0 or _LINE_BYTES + row_bytes > MAX_BATCH_BYTES
        fits = (
            len(joined) < MAX_BATCH_MESSAGES
            and size_bytes + row_bytes <= MAX_BATCH_BYTES
            and recipient_count + row_recipients <= MAX_RECIPIENTS
        )
        if joined and fits and not is_alone:
            joined.append(row)
            size_bytes += row_bytes
            recipient_count += row_recipients
            continue
        if len(requests) == max_requests:
            break
        requests.append([row])
        if not is_alone:
            joined = requests[-1]
            size_bytes, recipient_count = _LINE_BYTES + row_bytes, row_recipients
    return requests


def write_batch(deliveries: Sequence[tuple[Delivery, bytes]]) -> bytes:
    """Write the body of a request."""
    entries = [
        {"id": delivery.id, "from": delivery.mail_from, "to": delivery.recipients, "bytes": len(message)}
        for delivery, message in deliveries
    ]
    line = json.dumps(entries, separators=(",", ":")).encode()
    return b"\n".join((line, b"".join([message for _, message in deliveries])))


def digest_batch(body: bytes) -> str:
    """Compute what the sender signs: all of it."""
    return sha256(b"batch 1\n" + sha256(body).digest()).hexdigest()  # no delivery's id has a space


def read_batch(body: bytes) -> list[tuple[Delivery, bytes]]:
    """Read the body of a request.

    Raises:
        MalformedDeliveryError: It is none, or holds more than one may.
    """
    end = body.find(b"\n")
    try:
        entries = json.loads(body[: max(end, 0)])
    except (ValueError, RecursionError) as error:
        raise MalformedDeliveryError("a batch begins with a line of JSON") from error
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_BATCH_MESSAGES:
        raise MalformedDeliveryError(f"a batch has 1 to {MAX_BATCH_MESSAGES} deliveries")
    read = []
    start = end + 1
    for entry in entries:
        delivery, size_bytes = _read_entry(entry)
        read.append((delivery, body[start : start + size_bytes]))
        start += size_bytes
    if start != len(body):
        raise MalformedDeliveryError("the messages are not as long as their entries say")
    if sum(len(delivery.recipients) for delivery, _ in read) > MAX_RECIPIENTS:
        raise MalformedDeliveryError(f"a batch has at most {MAX_RECIPIENTS} recipients")
    return read


def write_answers(answers: Sequence[Answer]) -> str:
    """Write what became of each."""
    written = [
        {"status": answer.status, "reason": answer.reason}
        if answer.reason
        else {"status": answer.status, "refused": dict(answer.refused)}
        for answer in answers
    ]
    return json.dumps({"batch": VERSION, "answers": written})


def write_taken(refused: Mapping[str, str]) -> str:
    """Write what became of a delivery that came alone, and that others may come together."""
    return json.dumps({"batch": VERSION, "refused": dict(refused)})


def read_answers(text: bytes, count: int) -> list[Outcome] | None:
    """Read what became of each of `count` deliveries; `None` for what is no such answer."""
    answers = read_object(text).get("answers")
    if not isinstance(answers, list) or len(answers) != count:
        return None
    outcomes = [_read_answer(answer) for answer in answers]
    read = [outcome for outcome in outcomes if outcome is not None]
    return read if len(read) == count else None


def understands_batches(text: bytes) -> bool:
    """Tell by any answer whether who gave it reads batches of this version."""
    version = read_object(text).get("batch")
    return type(version) is int and version >= VERSION


def _measure(row: Outgoing) -> int:
    """Tell how many bytes a delivery takes in a request, at most."""
    envelope = row.envelope
    addresses = len(envelope.sender) + sum(map(len, envelope.recipients))
    # A character may be escaped, and each recipient has quotes and a comma.
    return ENTRY_BYTES + 2 * addresses + 3 * len(envelope.recipients) + row.size_bytes


def _read_entry(entry: object) -> tuple[Delivery, int]:
    match entry:
        case {"id": str(id_), "from": str(sender), "to": [*recipients], "bytes": int(size_bytes)}:
            if size_bytes >= 0 and all(isinstance(recipient, str) for recipient in recipients):
                return check_delivery(id_, sender, recipients), size_bytes
    raise MalformedDeliveryError("an entry needs id, from, to and bytes")


def _read_answer(answer: object) -> Outcome | None:
    match answer:
        case {"status": int(status), "refused": dict(refused)} if 200 <= status < 300:
            return Delivered(tidy_refused(refused))
        case {"status": int(status), "reason": str(reason)}:
            return judge_status(status, tidy_reason(reason))
    return None
