"""Long work beside sessions: the interpreter's lock changes hands sooner meanwhile, and only then."""

import asyncio
import sys

import pytest

from mailnode.smtp.background_work import SHORT_INTERVAL_SECONDS, BackgroundWork

pytestmark = pytest.mark.anyio


async def test_lock_changes_hands_sooner_while_there_is_work() -> None:
    usual = sys.getswitchinterval()
    works = BackgroundWork(2)

    during = await asyncio.gather(works.run(sys.getswitchinterval), works.run(sys.getswitchinterval))

    assert during == pytest.approx([SHORT_INTERVAL_SECONDS] * 2)
    assert sys.getswitchinterval() == pytest.approx(usual)


async def test_work_that_fails_leaves_nothing_behind() -> None:
    usual = sys.getswitchinterval()
    works = BackgroundWork(1)

    with pytest.raises(ZeroDivisionError):
        await works.run(lambda: 1 / 0)

    assert sys.getswitchinterval() == pytest.approx(usual)
    assert await works.run(lambda: "next") == "next"
