"""Keep the node's signing keys: made at the first start, told to the control plane, rotated on demand.

For: the daemon.
Not for: the rules of a rotation (key_ring.py), or publishing: the operator's DNS does that.

A node whose domain is an IP address has no keys: there is no name that could publish them.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import JsonValue

from mailnode.dkim.errors import KeyUnavailableError, MalformedError
from mailnode.dkim.key_files import read_ring, write_ring
from mailnode.dkim.key_ring import KeyPair, KeyRing, announce_next, make_ring, take_step, write_key_record
from mailnode.dkim.public_key import read_key_record
from mailnode.dkim.signing import SigningKey
from mailnode.dkim.verification import LookUp
from nodelink.channel.connection import RefusedError
from nodelink.contract.federation import DkimKey, DkimStage
from nodelink.daemon.tasks import open_task_group

STEP_SECONDS = 300

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class DkimKeys:
    """The ring of a node, in force and on disk."""

    domain: str
    path: Path
    look_up: LookUp
    clock_seconds: Callable[[], float] = time.time
    step_seconds: float = STEP_SECONDS
    _ring: KeyRing = field(init=False, default_factory=lambda: KeyRing(()))
    _lock: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    async def start(self, stack: AsyncExitStack) -> None:
        """Read the ring, or make it, and tend it until the stack unwinds. Raises: KeyFileError, OSError."""
        if self.domain.startswith("["):
            return
        ring = read_ring(self.path)
        if ring is None:
            ring = await asyncio.to_thread(make_ring, int(self.clock_seconds()))
            write_ring(self.path, ring)
        self._ring = ring
        spawn = await open_task_group(stack)
        spawn(self._tend())

    def read_keys(self) -> tuple[SigningKey, ...]:
        """Read the keys that sign now; none before the start, and none for an address."""
        return self._ring.signing_keys if self._ring.pairs else ()

    def read_report(self) -> tuple[DkimKey, ...]:
        """Tell what must be published."""
        return tuple(
            DkimKey(selector=key.selector, stage=DkimStage(pair.stage.value), record=write_key_record(key))
            for pair in self._ring.pairs
            for key in pair.keys
        )

    async def rotate(self, _arguments: Mapping[str, JsonValue]) -> None:
        """Announce the next pair of keys. Raises: RefusedError."""
        if not self._ring.pairs:
            raise RefusedError("This node has no signing keys: its mail domain is an address.")
        async with self._lock:
            await self._keep(await asyncio.to_thread(announce_next, self._ring, int(self.clock_seconds())))

    async def take_step(self) -> None:
        """Bring a rotation on, if one is under way."""
        async with self._lock:
            upcoming = self._ring.next_pair
            is_published = upcoming is not None and await self._is_published(upcoming)
            now_seconds = int(self.clock_seconds())
            await self._keep(take_step(self._ring, now_seconds, is_next_published=is_published))

    async def _keep(self, ring: KeyRing) -> None:
        if ring == self._ring:
            return
        await asyncio.to_thread(write_ring, self.path, ring)  # before it signs: a restart must find it
        self._ring = ring
        log.info("signing keys changed", selectors=[key.selector for key in ring.signing_keys])

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(self.step_seconds)
            try:
                await self.take_step()
            except OSError as error:
                log.warning("signing keys not kept", problem=str(error))

    async def _is_published(self, pair: KeyPair) -> bool:
        return all([await self._is_key_published(key) for key in pair.keys])

    async def _is_key_published(self, key: SigningKey) -> bool:
        try:
            records = await self.look_up(f"{key.selector}._domainkey.{self.domain}")
        except KeyUnavailableError:
            return False
        public = key.private_key.public_key()
        for record in records:
            try:
                if read_key_record(record, key.algorithm) == public:
                    return True
            except MalformedError:
                continue
        return False
