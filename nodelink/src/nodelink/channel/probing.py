"""Probe the other nodes of one's kind, all in turn, a few at a time.

For: every node; what a probe is, the node hands in.
Not for: who the peers are, which the desired state says.

    every five minutes: the next five peers by name, one after another ──▶ report
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog

from nodelink.contract.reports import MAX_PROBES, PROBED_AT_ONCE, ProbeReport
from nodelink.daemon.tasks import open_task_group

FIRST_ROUND_SECONDS = 5.0
"""After a start, or after there are peers for the first time."""
ROUND_SECONDS = 300.0
DEADLINE_SECONDS = 60
MAX_PROBLEM_CHARACTERS = 500

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ProbeError(Exception):
    """A probe failed; the text says why, for an operator."""


@dataclass(slots=True, kw_only=True)
class ProbeRounds:
    """The probes of a node, and what came of the last ones.

    Attributes:
        list_peers: Names the peers as they are now.
        probe: Probes one of them; returns how many seconds it took, or raises ProbeError.
    """

    list_peers: Callable[[], Sequence[str]]
    probe: Callable[[str], Awaitable[float]]
    clock: Callable[[], float] = time.time
    _last: str = field(init=False, default="")
    _results: dict[str, ProbeReport] = field(init=False, default_factory=dict)

    async def start(self, stack: AsyncExitStack) -> None:
        """Probe until the stack unwinds."""
        spawn = await open_task_group(stack)
        spawn(self._run())

    def read_results(self) -> tuple[ProbeReport, ...]:
        """Read what came of the last probes of peers that still are there, the newest ones."""
        peers = set(self.list_peers())
        return tuple(result for peer, result in self._results.items() if peer in peers)[-MAX_PROBES:]

    async def run_round(self) -> None:
        """Probe the next peers."""
        for peer in choose_next(self.list_peers(), self._last):
            self._last = peer
            result = await self._judge(peer)
            if result.problem is not None:
                log.warning("probe failed", peer=peer, problem=result.problem)
            self._results.pop(peer, None)  # so that the newest stand last
            self._results[peer] = result
        for peer in self._results.keys() - set(self.list_peers()):
            del self._results[peer]

    async def _judge(self, peer: str) -> ProbeReport:
        seconds, problem = None, None
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                seconds = await self.probe(peer)
        except TimeoutError:
            problem = f"No result within {DEADLINE_SECONDS} s."
        except ProbeError as error:
            problem = str(error)[:MAX_PROBLEM_CHARACTERS]
        return ProbeReport(peer=peer, at_seconds=int(self.clock()), seconds=seconds, problem=problem)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FIRST_ROUND_SECONDS)
            if self.list_peers():
                await self.run_round()
                await asyncio.sleep(ROUND_SECONDS - FIRST_ROUND_SECONDS)


def choose_next(peers: Sequence[str], last: str) -> list[str]:
    """Choose the peers that follow a name, at most a round's; after the last comes the first."""
    ordered = sorted(set(peers))
    following = [peer for peer in ordered if peer > last]
    return (following + [peer for peer in ordered if peer <= last])[:PROBED_AT_ONCE]
