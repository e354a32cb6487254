"""For how long what a domain vouches for holds: when nobody can be asked, and across restarts."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailnode.dkim.errors import KeyUnavailableError
from mailnode.peering import mta_sts
from mailnode.peering.mta_sts import (
    ASKED_AGAIN_SECONDS,
    FAILED_FETCH_SECONDS,
    MAX_AGE_SECONDS,
    NO_POLICY,
    Mode,
    Remembered,
    StsPolicies,
    StsPolicy,
)
from mailnode.peering.sts_memory import StsMemory, read_memory, write_memory

DOMAIN = "far.example"
AGE_SECONDS = 1_000
STS = b"version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 1000\n"
POLICY = StsPolicy(Mode.ENFORCE, AGE_SECONDS, ("mx.example",))

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    """A clock that a test moves."""

    now_seconds: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_seconds

    def advance(self, seconds: float) -> None:
        self.now_seconds += seconds


@dataclass
class World:
    """What the other domain publishes; `None` for what cannot be had. `fetched` are the ids of then."""

    clock: Clock = field(default_factory=Clock)
    id: str | None = "1"
    content: bytes | None = STS
    fetched: list[str | None] = field(default_factory=list)

    async def find_texts(self, name: str) -> list[bytes]:
        assert name == f"_mta-sts.{DOMAIN}"
        if self.id is None:
            raise KeyUnavailableError(name)
        return [b"v=STSv1; id=%b" % self.id.encode()]

    async def fetch(self, domain: str) -> bytes | None:
        assert domain == DOMAIN
        self.fetched.append(self.id)
        return self.content

    def open(self) -> StsPolicies:
        return StsPolicies(find_texts=self.find_texts, fetch=self.fetch, clock_seconds=self.clock)


async def test_policy_is_fetched_once_for_each_id() -> None:
    world = World()
    policies = world.open()

    for id_ in ("1", "1", "2", "2"):
        world.id = id_
        world.clock.advance(ASKED_AGAIN_SECONDS)
        assert await policies.find(DOMAIN) == POLICY

    assert world.fetched == ["1", "2"]


async def test_policy_holds_as_long_as_it_said_although_the_next_one_cannot_be_fetched() -> None:
    world = World()
    policies = world.open()
    await policies.find(DOMAIN)
    world.id, world.content = "2", None

    world.clock.advance(AGE_SECONDS - 1)
    assert await policies.find(DOMAIN) == POLICY
    world.clock.advance(ASKED_AGAIN_SECONDS)
    assert await policies.find(DOMAIN) is NO_POLICY
    assert world.fetched == ["1", "2"]


async def test_policy_that_expired_holds_no_longer() -> None:
    world = World()
    policies = world.open()
    await policies.find(DOMAIN)
    world.id = None

    world.clock.advance(AGE_SECONDS - 1)
    assert await policies.find(DOMAIN) == POLICY
    world.clock.advance(ASKED_AGAIN_SECONDS)
    assert await policies.find(DOMAIN) is NO_POLICY


async def test_policy_that_cannot_be_fetched_is_tried_again_after_five_minutes() -> None:
    world = World(content=None)
    policies = world.open()
    for seconds in (0, ASKED_AGAIN_SECONDS, FAILED_FETCH_SECONDS - ASKED_AGAIN_SECONDS - 1):
        world.clock.advance(seconds)
        assert await policies.find(DOMAIN) is NO_POLICY
    assert len(world.fetched) == 1

    world.content = STS
    world.clock.advance(ASKED_AGAIN_SECONDS)
    assert await policies.find(DOMAIN) == POLICY


async def test_policy_holds_after_a_restart_although_nobody_can_be_asked(tmp_path: Path) -> None:
    world, file = World(), tmp_path / "mta-sts.json"
    async with AsyncExitStack() as stack:
        policies = world.open()
        await StsMemory(file, policies).start(stack)
        await policies.find(DOMAIN)
    assert file.stat().st_mode & 0o077 == 0
    world.id, world.content = None, None
    written_at = file.stat().st_mtime_ns

    for seconds, expected in ((AGE_SECONDS - 1, POLICY), (1, NO_POLICY)):
        world.clock.advance(seconds)
        async with AsyncExitStack() as stack:
            policies = world.open()
            await StsMemory(file, policies).start(stack)
            assert await policies.find(DOMAIN) == expected
    assert file.stat().st_mtime_ns == written_at  # nothing new, nothing written
    assert world.fetched == ["1"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"policies": [{"domain": "a"}]}'])
async def test_damaged_memory_is_left_aside_and_replaced(tmp_path: Path, content: bytes) -> None:
    world, file = World(), tmp_path / "mta-sts.json"
    file.write_bytes(content)

    async with AsyncExitStack() as stack:
        policies = world.open()
        await StsMemory(file, policies).start(stack)
        assert policies.list_known() == {}
        assert await policies.find(DOMAIN) == POLICY

    assert read_memory(file.read_bytes())[DOMAIN].policy == POLICY


async def test_directory_that_takes_no_file_stops_nothing(tmp_path: Path) -> None:
    world = World()

    async with AsyncExitStack() as stack:
        policies = world.open()
        await StsMemory(tmp_path / "gone" / "mta-sts.json", policies).start(stack)
        assert await policies.find(DOMAIN) == POLICY


async def test_nothing_is_remembered_for_longer_than_a_policy_may_hold() -> None:
    world = World(id=None)
    policies = world.open()
    now = world.clock()

    policies.recall({DOMAIN: Remembered("1", POLICY, now + 10 * MAX_AGE_SECONDS)})
    world.clock.advance(MAX_AGE_SECONDS - 1)
    assert await policies.find(DOMAIN) == POLICY
    world.clock.advance(ASKED_AGAIN_SECONDS)
    assert await policies.find(DOMAIN) is NO_POLICY
    assert policies.list_known() == {}


@pytest.mark.parametrize(("count", "kept"), [(2, 2), (3, 3), (4, 3)])
async def test_the_oldest_makes_room(monkeypatch: pytest.MonkeyPatch, count: int, kept: int) -> None:
    monkeypatch.setattr(mta_sts, "REMEMBERED_POLICIES", 3)
    world = World()
    policies = world.open()
    until = world.clock() + 1
    names = [f"{number}.example" for number in range(count)]

    policies.recall({name: Remembered("1", POLICY, until) for name in names})

    assert list(policies.list_known()) == names[-kept:]


def test_memory_is_read_as_it_was_written() -> None:
    known = {DOMAIN: Remembered("1", POLICY, 5.5), "none.example": Remembered("x" * 32, NO_POLICY, 0.0)}

    assert read_memory(write_memory(known)) == known
