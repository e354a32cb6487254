"""Hand messages that are kept to the server of their domain, and let go what it acknowledges.

    GET /pull ─▶ those that wait longest since they were last told, some of them ─▶ POST /pull/ack ─▶ gone
                  └─▶ not acknowledged: told again, after all others; dropped after some days

For: endpoints.py, which knows the domain by its token; the daemon, which starts the sweeping.
Not for: what a message must be; its server judges that (peering.exchangers).

Source: `peering.waiting_mail` says who else answers so.
"""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import structlog

from mailnode.exchange.errors import BadAcknowledgementError
from mailnode.exchange.figures import Counts
from mailnode.exchange.shelf import Shelf
from mailnode.exchange.waiting_store import WaitingId, WaitingStore
from mailnode.peering.waiting_mail import MAX_ID_CHARACTERS, MAX_MESSAGES
from mailnode.store.mail_store import Outgoing, StoreUnavailableError
from nodelink.daemon.tasks import open_task_group

ANSWER_MESSAGES = 500
ANSWER_BYTES = 16 << 20
"""Of messages in one answer; a larger one goes alone."""
MAX_ACKNOWLEDGEMENT_BYTES = MAX_MESSAGES * (MAX_ID_CHARACTERS + 8)
SWEEP_SECONDS = 60.0
SECONDS_PER_HOUR = 3_600

_BASE64_STEP = 3 << 18

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Pickup:
    """What waits to be fetched. `forwarded` has the domains that are not fetched, and do not expire here."""

    store: WaitingStore
    shelf: Shelf
    counts: Counts
    forwarded: Collection[str]
    keep_hours: int
    clock_seconds: Callable[[], float] = time.time
    answer_messages: int = ANSWER_MESSAGES
    answer_bytes: int = ANSWER_BYTES
    sweep_seconds: float = SWEEP_SECONDS

    async def start(self, stack: AsyncExitStack) -> None:
        """Drop what nobody fetches, until the stack unwinds."""
        spawn = await open_task_group(stack)

        async def keep_sweeping() -> None:
            while True:
                try:
                    await self.sweep()
                except StoreUnavailableError as error:
                    log.warning("store not swept", reason=str(error))
                await asyncio.sleep(self.sweep_seconds)

        spawn(keep_sweeping())

    async def choose(self, domain: str) -> tuple[list[Outgoing], bool]:
        """Choose what is told now; with it goes whether more waits. They come last the next time.

        Raises:
            StoreUnavailableError: Not now.
        """
        rows = await self.store.list_outgoing(domain, self.answer_messages + 1)
        chosen = choose_batch(rows, self.answer_messages, self.answer_bytes)
        after_new_ones = int(self.clock_seconds()) + 1
        await asyncio.gather(*(self.store.postpone_outgoing(row.id, after_new_ones) for row in chosen))
        return chosen, len(chosen) < len(rows)

    async def write_list(self, rows: Sequence[Outgoing], *, has_more: bool) -> AsyncIterator[bytes]:
        """Write an answer, one message at a time, so that it is never in memory as a whole."""
        digest = sha256("\n".join(row.envelope.delivery_id for row in rows).encode()).hexdigest()
        head = {"hash": digest, "count": len(rows), "more": has_more}
        yield json.dumps(head).removesuffix("}").encode() + b', "messages": ['
        separator = b""
        for row in rows:
            message = await self.store.read_body(row.body_id)
            if message is not None:  # it was acknowledged a moment ago otherwise
                yield separator + write_head(row)
                for start in range(0, len(message), _BASE64_STEP):
                    yield b64encode(message[start : start + _BASE64_STEP])
                yield b'"}'
                separator = b", "
        yield b"]}"

    async def acknowledge(self, domains: Collection[str], ids: Collection[WaitingId]) -> int:
        """Let go what a server has; tell how many of these it had not acknowledged before.

        Raises:
            StoreUnavailableError: Not now.
        """
        gone = await self.store.finish_waiting(domains, ids)
        for domain, size_bytes in gone:
            self.shelf.release(domain, [size_bytes])
        self.counts.fetched += len(gone)
        return len(gone)

    async def sweep(self) -> None:
        """Drop what has waited for too long. Raises: StoreUnavailableError."""
        before_seconds = int(self.clock_seconds()) - self.keep_hours * SECONDS_PER_HOUR
        for domain in await self.store.count_outgoing():
            if domain in self.forwarded:
                continue
            while sizes := await self.store.expire(domain, before_seconds):
                self.shelf.release(domain, sizes)
                self.counts.expired += len(sizes)
                log.warning("mail dropped that nobody has fetched", messages=len(sizes))


def choose_batch(rows: Sequence[Outgoing], max_messages: int, max_bytes: int) -> list[Outgoing]:
    """Choose from the front what one answer may hold: one message at least."""
    chosen: list[Outgoing] = []
    size_bytes = 0
    for row in rows[:max_messages]:
        size_bytes += row.size_bytes
        if chosen and size_bytes > max_bytes:
            break
        chosen.append(row)
    return chosen


def write_head(row: Outgoing) -> bytes:
    """Write an entry up to its body."""
    entry = {
        "id": str(WaitingId(row.id, row.envelope.delivery_id)),
        "from": row.envelope.sender,
        "to": row.envelope.recipients,
        "size": row.size_bytes,
        "date": datetime.fromtimestamp(row.queued_at_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return json.dumps(entry).removesuffix("}").encode() + b', "body": "'


def read_acknowledgement(content: bytes) -> list[WaitingId]:
    """Read which messages a server has; what no exchanger would have told is left out.

    Raises:
        BadAcknowledgementError: It tells nothing of the kind, or too much.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadAcknowledgementError from error
    ids = document.get("ids") if isinstance(document, dict) else None
    if not isinstance(ids, list) or len(ids) > MAX_MESSAGES or not all(isinstance(each, str) for each in ids):
        raise BadAcknowledgementError
    found = [WaitingId.read(text) for text in dict.fromkeys(ids)]
    return [each for each in found if each is not None]
