"""A lane, with a sender that does what the ways of the node should never do."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from mailnode.federation import retry
from mailnode.federation.lane import Lane, Report
from mailnode.federation.retry import Delivered, Outcome
from mailnode.store.mail_store import BodyId, Envelope, Outgoing
from support.clocks import until
from support.store_memory import MemoryMailStore

pytestmark = pytest.mark.anyio

DESTINATION = "far.example"


@dataclass
class FaultySender:
    """Fails at the first message, in a way that no outcome describes."""

    faults: int = 1
    sent: list[str] = field(default_factory=list)

    async def send(self, row: Outgoing, message: bytes) -> Outcome:
        del message
        if self.faults:
            self.faults -= 1
            raise ZeroDivisionError
        self.sent.append(row.envelope.delivery_id)
        return Delivered()

    def find_longest_pause(self, destination: str) -> float:
        del destination
        return 0.1


def make_lane(
    store: MemoryMailStore, sender: FaultySender, report: Report, on_gone: Callable[[Outgoing], None]
) -> Lane:
    return Lane(
        destination=DESTINATION,
        store=store,
        sender=sender,
        report=report,
        clock_seconds=time.time,
        on_gone=on_gone,
        give_up_seconds=3_600,
    )


class DamagedStore(MemoryMailStore):
    """Has lost the first body."""

    async def read_body(self, body_id: BodyId) -> bytes | None:
        return None if body_id == 1 else await super().read_body(body_id)


async def test_sender_hears_of_a_message_that_is_lost_here() -> None:
    store, sender, told = DamagedStore(), FaultySender(faults=0), asyncio.Queue[Mapping[str, str]]()
    for name in ("first", "second"):
        envelope = Envelope(name, DESTINATION, "alice@one.example", ("bob@far.example",))
        await store.deliver([], b"message", int(time.time()), [envelope])

    async def report(_row: Outgoing, _message: bytes, refused: Mapping[str, str]) -> None:
        told.put_nowait(refused)

    lane = make_lane(store, sender, report, lambda _: None)

    with capture_logs() as logged:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            running = group.create_task(lane.run())
            assert await told.get() == {"bob@far.example": "this server has lost the message"}
            await until(lambda: sender.sent == ["second"])
            running.cancel()

    assert await store.count_outgoing() == {}
    assert [entry["event"] for entry in logged] == ["queued message has no body"]


async def test_a_fault_of_our_own_delays_one_message_and_ends_no_lane(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.1)
    store, sender, gone = MemoryMailStore(), FaultySender(), asyncio.Semaphore(0)
    for name in ("first", "second"):
        envelope = Envelope(name, DESTINATION, "", ("bob@far.example",))
        await store.deliver([], b"message", int(time.time()), [envelope])

    async def report(row: Outgoing, message: bytes, refused: Mapping[str, str]) -> None:
        raise AssertionError((row, message, refused))

    lane = make_lane(store, sender, report, lambda _: gone.release())

    with capture_logs() as logged:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            running = group.create_task(lane.run())
            await gone.acquire()
            await gone.acquire()
            running.cancel()

    assert sender.sent == ["second", "first"]
    assert [entry["event"] for entry in logged] == ["delivery broke off", "delivery failed"]
