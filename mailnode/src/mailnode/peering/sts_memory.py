"""Keep what other domains have vouched for (MTA-STS) across restarts.

    start ─▶ read ─▶ a policy was fetched? once a minute, and at the end ─▶ written, whole or not at all

For: the daemon. Whoever keeps a fetch from succeeding must not gain from a restart.
Not for: what a policy means, or how long it holds (mta_sts.py).

Source: RFC 8461 section 5.1 and 10.2: a policy holds for its `max_age`, whatever happens meanwhile.
"""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailnode.peering.mta_sts import (
    MAX_AGE_SECONDS,
    MAX_PATTERNS,
    REMEMBERED_POLICIES,
    Mode,
    Remembered,
    StsPolicies,
    StsPolicy,
)
from nodelink.channel.files import read_if_there, write_durably
from nodelink.daemon.tasks import open_task_group

WRITE_SECONDS = 60

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _KeptPolicy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str = Field(min_length=1, max_length=255)
    id: str = Field(pattern=r"^[A-Za-z0-9]{1,32}$")
    mode: Mode
    max_age_seconds: int = Field(ge=0, le=MAX_AGE_SECONDS)
    patterns: tuple[str, ...] = Field(max_length=MAX_PATTERNS)
    until_seconds: float = Field(ge=0, allow_inf_nan=False)


class _KeptPolicies(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    policies: tuple[_KeptPolicy, ...] = Field(max_length=REMEMBERED_POLICIES)


def write_memory(known: Mapping[str, Remembered]) -> bytes:
    """Write what is remembered."""
    kept = _KeptPolicies(
        policies=tuple(
            _KeptPolicy(
                domain=domain,
                id=each.id,
                mode=each.policy.mode,
                max_age_seconds=each.policy.max_age_seconds,
                patterns=each.policy.patterns,
                until_seconds=each.until_seconds,
            )
            for domain, each in known.items()
        )
    )
    return kept.model_dump_json().encode()


def read_memory(content: bytes) -> dict[str, Remembered]:
    """Read what was remembered. Raises: ValueError."""
    return {
        each.domain: Remembered(
            each.id, StsPolicy(each.mode, each.max_age_seconds, each.patterns), each.until_seconds
        )
        for each in _KeptPolicies.model_validate_json(content).policies
    }


@dataclass(slots=True)
class StsMemory:
    """The memory of a node, in a file of its state directory."""

    path: Path
    policies: StsPolicies
    _written_renewals: int = field(init=False, default=0)
    _is_writing: threading.Lock = field(init=False, default_factory=threading.Lock)

    async def start(self, stack: AsyncExitStack) -> None:
        """Recall what is kept, and keep what is fetched, until the stack unwinds."""
        await asyncio.to_thread(self._recall)
        stack.push_async_callback(self._keep)
        spawn = await open_task_group(stack)
        spawn(self._keep_from_time_to_time())

    def _recall(self) -> None:
        try:
            content = read_if_there(self.path)
            if content is not None:
                self.policies.recall(read_memory(content))
        except (OSError, ValidationError) as error:
            log.warning("MTA-STS policies not recalled", file=str(self.path), problem=str(error)[:500])

    async def _keep(self) -> None:
        renewals = self.policies.renewals
        if renewals == self._written_renewals:
            return
        known = self.policies.list_known()
        try:
            await asyncio.to_thread(self._write, known)
        except OSError as error:
            log.warning("MTA-STS policies not kept", file=str(self.path), problem=str(error))
            return
        self._written_renewals = renewals

    def _write(self, known: Mapping[str, Remembered]) -> None:
        with self._is_writing:  # a thread goes on when its task is cancelled, and the last writer must win
            write_durably(self.path, write_memory(known))

    async def _keep_from_time_to_time(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._keep()
