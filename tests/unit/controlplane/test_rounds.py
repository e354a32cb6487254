"""What many channels want of the database is done in rounds."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from controlplane.nodes.rounds import MAX_JOINED, Rounds

pytestmark = pytest.mark.anyio


async def test_those_who_come_meanwhile_share_a_round() -> None:
    sizes: list[int] = []
    go = threading.Event()

    def work(asks: Sequence[int]) -> list[int]:
        sizes.append(len(asks))
        go.wait(5)
        return [ask * 2 for ask in asks]

    async with AsyncExitStack() as stack:
        rounds = Rounds(work)
        await rounds.start(stack)
        joined = [asyncio.create_task(rounds.join(number)) for number in range(MAX_JOINED + 2)]
        await asyncio.sleep(0)
        go.set()
        answers = await asyncio.gather(*joined)

    assert answers == [number * 2 for number in range(MAX_JOINED + 2)]
    assert sizes == [MAX_JOINED, 2]


async def test_what_goes_wrong_is_told_to_all_of_the_round_and_the_next_one_is_done() -> None:
    def work(asks: Sequence[str]) -> list[str]:
        if "bad" in asks:
            raise LookupError
        return list(asks)

    async with AsyncExitStack() as stack:
        rounds = Rounds(work)
        await rounds.start(stack)
        failed = await asyncio.gather(rounds.join("good"), rounds.join("bad"), return_exceptions=True)

        assert [type(each) for each in failed] == [LookupError, LookupError]
        assert await rounds.join("good") == "good"


async def test_who_has_left_is_not_worked_for() -> None:
    heard: list[str] = []

    def work(asks: Sequence[str]) -> list[str]:
        heard.extend(asks)
        return list(asks)

    async with AsyncExitStack() as stack:
        rounds = Rounds(work)
        leaving = asyncio.create_task(rounds.join("gone"))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await rounds.start(stack)

        assert await rounds.join("here") == "here"
    assert heard == ["here"]
