"""What caller and callee do, step by step, with a deadline for each step.

For: both roles, in one process or two.
Not for: media (call.py), lines (signalling.py) or the command line (command.py).
"""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

from turnnode.errors import ProbeFailedError
from turnnode.probe.access import IcePolicy, Load, TurnAccess
from turnnode.probe.call import CallSide
from turnnode.probe.diagnosis import find_fault
from turnnode.probe.results import CallResult, JsonObject, Tally, Way, percentiles
from turnnode.probe.signalling import QueueWire, Wire, text_of

SIGNAL_SECONDS: Final = 60
GOODBYE_SECONDS: Final = 30


async def call(wire: Wire, access: TurnAccess, policy: IcePolicy, load: Load) -> CallResult:
    """Be the caller.

    Raises:
        ProbeFailedError: The call did not come about.
    """
    async with AsyncExitStack() as stack:
        side = CallSide(access, policy)
        await side.start(stack)
        started_at = time.monotonic()
        wire.send({"type": "offer", "sdp": await side.offer()})
        await side.accept(text_of(await _receive(wire, "answer", SIGNAL_SECONDS), "answer", "sdp"))
        await _connect(side, access, load)
        connect_ms = (time.monotonic() - started_at) * 1000
        await side.speak(load)
        candidates = side.read_candidate_types()
        wire.send({"type": "bye"})
        message = await _receive(wire, "tally", GOODBYE_SECONDS)
        ours = await side.read_tally()
    try:
        theirs = Tally.from_json({key: value for key, value in message.items() if key != "type"})
    except ValueError as error:
        raise ProbeFailedError("The callee did not say what it has received.") from error
    return CallResult(
        connect_ms=round(connect_ms, 1),
        rtt_ms=percentiles(side.rtts_ms),
        there=Way.between(ours, theirs),
        back=Way.between(theirs, ours),
        local_candidate=candidates[0],
        remote_candidate=candidates[1],
    )


async def be_called(wire: Wire, access: TurnAccess, policy: IcePolicy, load: Load) -> Tally:
    """Be the callee: answer one call, send its data back, and say what was counted.

    Raises:
        ProbeFailedError: The call did not come about.
    """
    async with AsyncExitStack() as stack:
        side = CallSide(access, policy)
        await side.start(stack)
        offer = text_of(await _receive(wire, "offer", SIGNAL_SECONDS), "offer", "sdp")
        wire.send({"type": "answer", "sdp": await side.answer(offer)})
        await _connect(side, access, load)
        message = await _receive(wire, "goodbye", load.seconds + GOODBYE_SECONDS)
        if message.get("type") != "bye":
            raise ProbeFailedError("The caller sent something else than its goodbye.")
        tally = await side.read_tally()
        wire.send({"type": "tally", **tally.as_json()})
    return tally


async def call_oneself(access: TurnAccess, policy: IcePolicy, load: Load) -> CallResult:
    """Be both sides, in one process.

    Raises:
        ProbeFailedError: The call did not come about.
    """
    one, other = QueueWire.pair()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(be_called(other, access, policy, load))
            result = await call(one, access, policy, load)
    except* ProbeFailedError as failures:
        raise failures.exceptions[0] from None  # both sides fail for one reason
    return result


async def _receive(wire: Wire, awaited: str, seconds: float) -> JsonObject:
    try:
        async with asyncio.timeout(seconds):
            return await wire.receive()
    except TimeoutError as error:
        raise ProbeFailedError(
            f"No {awaited} came within {seconds:g} s. Is the other side running, and connected to this one?"
        ) from error


async def _connect(side: CallSide, access: TurnAccess, load: Load) -> None:
    try:
        async with asyncio.timeout(load.connect_deadline_seconds):
            await side.wait_until_open()
    except TimeoutError as error:
        raise ProbeFailedError(await find_fault(access)) from error
