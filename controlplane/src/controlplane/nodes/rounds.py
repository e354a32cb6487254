"""Do what many channels want of the database in rounds: one transaction for all who have come meanwhile.

    channel ──join──▶ waiting ──▶ one round in a thread ──▶ an answer for each
                         ▲                 │
                         └── who comes now ┘

For: the hub. A thousand channels that each open a session of their own cost ten times as much.
Not for: what is done (desk.py).
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from nodelink.daemon.tasks import open_task_group

MAX_JOINED = 200
"""So many at most in one round: the first of many shall not wait for the last."""

AskT = TypeVar("AskT")
AnswerT = TypeVar("AnswerT")


@dataclass(slots=True, eq=False)
class Rounds(Generic[AskT, AnswerT]):
    """Rounds of one kind of work.

    Attributes:
        work: Does a round, in a thread; returns an answer for each who has joined, in their order. What it
            raises, everybody in the round is told.
        pause_seconds: How long nothing is done after a round, so that more of them come together.
    """

    work: Callable[[Sequence[AskT]], Sequence[AnswerT]]
    pause_seconds: float = 0.0
    _waiting: "list[tuple[AskT, asyncio.Future[AnswerT]]]" = field(init=False, default_factory=list)
    _joined: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    async def start(self, stack: AsyncExitStack) -> None:
        """Work until the stack unwinds."""
        spawn = await open_task_group(stack)
        spawn(self._run())

    async def join(self, ask: AskT) -> AnswerT:
        """Take part in the next round; return the answer."""
        answered: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, answered))
        self._joined.set()
        return await answered

    async def _run(self) -> None:
        while True:
            await self._joined.wait()
            joined, self._waiting = self._waiting[:MAX_JOINED], self._waiting[MAX_JOINED:]
            if not self._waiting:
                self._joined.clear()
            await self._do([each for each in joined if not each[1].done()])  # some have left
            await asyncio.sleep(self.pause_seconds)

    async def _do(self, joined: "list[tuple[AskT, asyncio.Future[AnswerT]]]") -> None:
        if not joined:
            return
        try:
            answers = await asyncio.to_thread(self.work, [ask for ask, _ in joined])
        except Exception as error:  # noqa: BLE001 - whoever has joined knows what it means
            for _, answered in joined:
                if not answered.done():
                    answered.set_exception(error)
            return
        for (_, answered), answer in zip(joined, answers, strict=True):
            if not answered.done():
                answered.set_result(answer)
