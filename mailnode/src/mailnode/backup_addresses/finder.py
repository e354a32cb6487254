"""Find where backup addresses can be had now: ask a few siblings, and take those with the most room.

For: the page of a new account.
Not for: whether a sibling offers any (offer.py, on its side), or TLS and signatures (federation.transport).

A fleet may have thousands of nodes, so some are asked at random: among several, the one with the most room is
nearly as good a choice as the best of all.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from mailnode.backup_addresses.offer import (
    MAX_OFFER_BYTES,
    OFFER_DIGEST,
    OFFER_PATH,
    BackupOffer,
    read_offer,
)
from mailnode.backup_addresses.place import BackupPlace, find_place
from mailnode.federation.siblings import Sibling, Siblings
from nodelink.contract.states import MAX_BACKUP_ADDRESSES

ASKED_AT_ONCE = 8
MAX_ROUNDS = 2
ANSWER_SECONDS = 1.0
"""For a sibling; a visitor waits for it."""
FRESH_SECONDS = 2.0
"""However many register: siblings are asked anew only after so long."""


class OfferSource(Protocol):
    """What asks siblings; `mailnode.federation.transport.Transport` is one."""

    async def fetch(self, sibling: Sibling, path: str, digest: str, max_bytes: int) -> bytes | None:
        """Fetch a sibling's answer; `None` where it does not answer."""


@dataclass(slots=True, kw_only=True)
class BackupFinder:
    """What knows where backup addresses can be had."""

    siblings: Siblings
    transport: OfferSource
    clock: Callable[[], float] = time.monotonic
    _places: Sequence[BackupPlace] = field(init=False, default=())
    _looked_at: float | None = field(init=False, default=None)
    _looking: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    async def find(self, count: int) -> Sequence[BackupPlace]:
        """Find up to so many places on as many nodes, the one with the most room first."""
        if count <= 0:
            return ()
        async with self._looking:
            if self._looked_at is None or self.clock() - self._looked_at >= FRESH_SECONDS:
                self._places = await self._look()
                self._looked_at = self.clock()
            return self._places[:count]

    async def _look(self) -> Sequence[BackupPlace]:
        names = self.siblings.list_nodes()
        names = random.sample(names, min(len(names), ASKED_AT_ONCE * MAX_ROUNDS))
        found: list[tuple[float, str, BackupPlace]] = []
        for start in range(0, len(names), ASKED_AT_ONCE):
            asked = names[start : start + ASKED_AT_ONCE]
            offers = await asyncio.gather(*map(self._ask, asked))
            found += [offer for offer in offers if offer is not None]
            if len(found) >= MAX_BACKUP_ADDRESSES:
                break
        return [place for _, _, place in sorted(found, key=lambda entry: entry[:2])]

    async def _ask(self, name: str) -> tuple[float, str, BackupPlace] | None:
        sibling = self.siblings.find_node(name)
        offer: BackupOffer | None = None
        if sibling is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    offer = read_offer(await self._fetch(sibling) or b"")
        if sibling is None or offer is None:
            return None
        place = find_place(sibling, offer)
        return None if place is None else (offer.accounts_per_weight, name, place)

    async def _fetch(self, sibling: Sibling) -> bytes | None:
        return await self.transport.fetch(sibling, OFFER_PATH, OFFER_DIGEST, MAX_OFFER_BYTES)
