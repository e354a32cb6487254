"""Hand messages on to the servers of their domains, or to another exchanger.

For: intake.py, which says that something has come; the daemon.
Not for: when a message is tried again, which is as on a mail node (federation.lane, federation.retry).

    comes ─▶ something waits there? ── no ──▶ tried once, while its sender waits ──▶ handed on: 200
                     │ yes                            │ refused: the same answer       │ not reached
                     ▼                                                                 ▼
                  stored: 200 ◀───────────────────────────────────────────────────── stored: 200

An exchanger cannot tell an author anything: it knows no key to sign with. His own server can, as long as it
waits. Later, what the next server refuses for good, or what is not taken in time, is dropped and counted. The
log names the domain, which stands in the settings, and the status that it has answered; never its words: they
may name people.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import assert_never

from mailnode.exchange.errors import RefusedBeyondError
from mailnode.exchange.figures import Counts
from mailnode.exchange.hops import Passage, find_hops
from mailnode.exchange.shelf import Shelf
from mailnode.federation.lane import Lane
from mailnode.federation.retry import LONGEST_PEER_PAUSE_SECONDS, Delivered, Failed, Outcome, Refused
from mailnode.peering.errors import NoRouteError, RouteUnknownError
from mailnode.peering.resolver import Resolver
from mailnode.peering.routes import Stop, is_address, may_be_dialled
from mailnode.peering.upload import TlsContexts, Uploads
from mailnode.store.mail_store import Envelope, MailStore, Outgoing
from nodelink.daemon.tasks import Spawn, open_task_group

PATIENCE_SECONDS = 16.0
"""Half of that is how long the first exchanger tries at once, a quarter the second, an eighth the third."""


@dataclass(slots=True, kw_only=True)
class Forwarding:
    """The way on, a lane for each domain: one that is dead slows no other. `stops` is where each leads."""

    stops: Mapping[str, Stop]
    store: MailStore
    shelf: Shelf
    counts: Counts
    tls: TlsContexts
    resolver: Resolver
    give_up_seconds: int
    source_address: str | None = None
    allows_loopback: bool = False
    longest_pause_seconds: float = LONGEST_PEER_PAUSE_SECONDS
    clock_seconds: Callable[[], float] = time.time
    _uploads: Uploads = field(init=False)
    _lanes: dict[str, Lane] = field(init=False, default_factory=dict)
    _lost: set[int] = field(init=False, default_factory=set)
    _spawn: Spawn | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Make the way; nothing is dialled yet."""
        self._uploads = Uploads(
            tls=self.tls, find_addresses=self._find_addresses, source_address=self.source_address
        )

    async def start(self, stack: AsyncExitStack) -> None:
        """Work until the stack unwinds; what waits then is still there at the next start."""
        stack.push_async_callback(self._uploads.close)
        self._spawn = await open_task_group(stack)
        for domain in await self.store.count_outgoing():
            self.wake(domain)

    def wake(self, domain: str) -> None:
        """Hear that something has come for a domain; nothing happens where that is not forwarded."""
        if domain not in self.stops or self._spawn is None:
            return
        lane = self._lanes.get(domain)
        if lane is None:
            lane = self._lanes[domain] = Lane(
                destination=domain,
                store=self.store,
                sender=self,
                report=self._count_lost,
                clock_seconds=self.clock_seconds,
                on_gone=self._note_gone,
                give_up_seconds=self.give_up_seconds,
            )
            self._spawn(self._run(lane))
        lane.wake()

    async def pass_on(self, envelope: Envelope, message: bytes) -> bool:
        """Try once to hand a message on while its sender waits; tell whether the next server has it.

        Where others wait, they go first: so a server that is dead holds its senders up for seconds only.

        Raises:
            RefusedBeyondError: The next server will never take it.
        """
        if envelope.destination not in self.stops or self.shelf.holds(envelope.destination):
            return False
        try:
            # Each exchanger on the way has less time than the one before it, which waits for its answer.
            async with asyncio.timeout(PATIENCE_SECONDS / 2 ** find_hops(envelope.delivery_id)):
                outcome = await self._try(envelope, message)
        except TimeoutError:
            return False
        match outcome:
            case Delivered():
                self.counts.forwarded += 1
                return True
            case Refused():
                status, _, text = outcome.reason.partition(" ")
                raise RefusedBeyondError(int(status), text)
            case Failed():
                return False
            case _:
                assert_never(outcome)

    async def send(self, row: Outgoing, message: bytes) -> Outcome:
        """Try once to hand on a message that has waited."""
        return leave_names_out(await self._try(row.envelope, message))

    async def _try(self, envelope: Envelope, message: bytes) -> Outcome:
        passage = Passage(
            id="",
            mail_from=envelope.sender,
            recipients=envelope.recipients,
            hops=find_hops(envelope.delivery_id),
        )
        try:
            return await self._uploads.send(self.stops[envelope.destination], passage, message)
        except (NoRouteError, RouteUnknownError) as error:  # of a host: somebody may publish it yet
            return Failed(error.public_text, is_of_node=True)

    def find_longest_pause(self, destination: str) -> float:
        """Tell how long a destination that was not reached is left alone."""
        del destination
        return self.longest_pause_seconds

    async def _run(self, lane: Lane) -> None:
        await lane.run()
        del self._lanes[lane.destination]

    async def _count_lost(self, row: Outgoing, message: bytes, refused: Mapping[str, str]) -> None:
        """Note that nobody, or not everybody, gets a message. There is nobody who could be told."""
        del message, refused
        self._lost.add(row.id)

    def _note_gone(self, row: Outgoing) -> None:
        self.shelf.release(row.envelope.destination, [row.size_bytes])
        if row.id in self._lost:
            self._lost.discard(row.id)
            self.counts.given_up += 1
        else:
            self.counts.forwarded += 1

    async def _find_addresses(self, host: str) -> list[str]:
        """Find where a host is. The DNS may not lead into this host; what an operator writes may."""
        if is_address(host):
            return [host]
        found = await self.resolver.find_addresses(host)
        return [address for address in found if may_be_dialled(address, allows_loopback=self.allows_loopback)]


def leave_names_out(outcome: Outcome) -> Outcome:
    """Shorten reasons to what names nobody: the status of an answer, or the kind of a failure."""
    match outcome:
        case Delivered():
            return Delivered()
        case Refused() | Failed():
            return replace(outcome, reason=outcome.reason.partition(" ")[0].removesuffix(":"))
        case _:
            assert_never(outcome)
