"""Decide what an exchanger takes, and store it.

    source sends too much? ─▶ all recipients in listed domains? ─▶ not too many exchangers? ─▶ space?
        ─▶ read, no more than is taken ─▶ gate: encrypted ─▶ handed on, or stored: durable ─▶ 200

For: endpoints.py.
Not for: who wrote a message: the server of its recipients wants its signature, which passes unchanged.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from mailnode.accounts.rate_limit import RateLimiter, find_prefix
from mailnode.encryption.errors import GateError
from mailnode.encryption.gate import check_incoming
from mailnode.exchange.errors import (
    NotListedError,
    SourceTooFastError,
    TooManyHopsError,
    UnencryptedMailError,
)
from mailnode.exchange.figures import Counts
from mailnode.exchange.hops import MAX_HOPS, make_id
from mailnode.exchange.shelf import Shelf
from mailnode.federation.delivery import LARGE_MESSAGE_BYTES, plan_envelopes
from mailnode.federation.errors import TooLargeError, TryLaterError
from mailnode.peering.http_entry import check_lines
from mailnode.peering.policy import find_peer
from mailnode.peering.reception import Arrival
from mailnode.store.mail_store import Envelope, MailStore, StoreUnavailableError

MAX_READING_BYTES = 256 << 20
"""So much may be in memory of messages that are being uploaded; more is asked to come again."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A delivery whose message may be read. `domains` has the domain of each recipient."""

    arrival: Arrival
    domains: dict[str, str]
    hops: int


@dataclass(slots=True, kw_only=True)
class Intake:
    """The rules for all deliveries.

    `pass_on` hands a message on at once where it can; `wake` hears for which domains something waits.
    """

    listed: Collection[str]
    store: MailStore
    shelf: Shelf
    counts: Counts
    limiter: RateLimiter
    max_bytes: int
    pass_on: Callable[[Envelope, bytes], Awaitable[bool]]
    wake: Callable[[str], None]
    clock_seconds: Callable[[], float] = time.time
    max_reading_bytes: int = MAX_READING_BYTES
    _reading_bytes: int = field(init=False, default=0)

    def admit(self, arrival: Arrival, hops: int) -> Admitted:
        """Judge a delivery before anything of the message is read.

        Raises:
            DeliveryRefusedError: It is not taken.
        """
        if not self.limiter.try_spend(find_prefix(arrival.source)):
            raise SourceTooFastError
        domains: dict[str, str] = {}
        for recipient in arrival.recipients:
            domain = find_peer(recipient.rpartition("@")[2])
            if domain is None or domain not in self.listed:
                raise NotListedError
            domains[recipient] = domain
        if hops >= MAX_HOPS:
            raise TooManyHopsError
        return Admitted(arrival, domains, hops + 1)

    @contextmanager
    def hold_memory(self, declared_bytes: int | None) -> Iterator[None]:
        """Hold memory for a message that is about to be read; `None` where it does not say how large it is.

        Raises:
            TooLargeError: It is larger than is taken.
            TryLaterError: Too much is being read at this moment.
        """
        size_bytes = self.max_bytes if declared_bytes is None else declared_bytes
        if size_bytes > self.max_bytes:
            raise TooLargeError
        if self._reading_bytes and self._reading_bytes + size_bytes > self.max_reading_bytes:
            raise TryLaterError
        self._reading_bytes += size_bytes
        try:
            yield
        finally:
            self._reading_bytes -= size_bytes

    async def take(self, admitted: Admitted, message: bytes) -> None:
        """Take a message; when this returns, it is durable here, or the next server has it.

        Raises:
            DeliveryRefusedError: It is not taken; nothing is stored.
        """
        check_lines(message)
        try:
            if len(message) > LARGE_MESSAGE_BYTES:
                await asyncio.to_thread(check_incoming, message)
            else:
                check_incoming(message)
        except GateError as error:
            raise UnencryptedMailError from error
        envelopes = [
            replace(envelope, delivery_id=make_id(admitted.hops))
            for envelope in plan_envelopes(admitted.arrival.mail_from, admitted.domains)
        ]
        is_for_one = len(envelopes) == 1  # one answer says nothing of several servers
        if not (is_for_one and await self.pass_on(envelopes[0], message)):
            await self._store(envelopes, message)
            for envelope in envelopes:
                self.wake(envelope.destination)
        self.counts.received += 1

    async def _store(self, envelopes: Sequence[Envelope], message: bytes) -> None:
        destinations = [envelope.destination for envelope in envelopes]
        self.shelf.reserve(destinations, len(message))
        try:
            await self.store.deliver([], message, int(self.clock_seconds()), envelopes)
        except StoreUnavailableError as error:
            for destination in destinations:
                self.shelf.release(destination, [len(message)])
            raise TryLaterError(str(error)) from error
