"""A control plane that is slow, gone for long, or asks too much: the node's follower outlives all of it."""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import JsonValue

from nodelink.channel.agent import LONGEST_PAUSE_SECONDS, NodeAgent, longest_pause_seconds
from nodelink.channel.client_tls import build_client_context
from nodelink.channel.connection import MAX_AT_ONCE, RefusedError
from nodelink.channel.node_files import REMEMBERED_OPERATIONS, NodeFiles
from nodelink.contract.frames import MAX_FRAME_BYTES, Answer, Desired, Done, OperationFrame, Query
from nodelink.contract.keys import PublicKey
from nodelink.daemon.tls import read_spki_pin
from self_signed import make_certificate
from support.clocks import until
from support.node_channel import ControlPlane, connected, desired, make_node, operation, reported

pytestmark = pytest.mark.anyio


@pytest.fixture
def control_plane(tmp_path: Path) -> ControlPlane:
    files = NodeFiles(tmp_path / "node")
    return ControlPlane(*make_certificate(tmp_path, "localhost"), files.load_identity().public)


def removal(identifier: str) -> str:
    return operation(identifier, {"address": identifier})


class SlowFiles(NodeFiles):
    """Files on a disk that takes its time with the first desired state, and none with the next."""

    is_begun = threading.Event()
    may_end = threading.Event()
    has_ended = threading.Event()

    def keep_state(self, document: str, trusted: tuple[PublicKey, ...]) -> None:
        if self.is_begun.is_set():
            super().keep_state(document, trusted)
            return
        self.is_begun.set()
        self.may_end.wait(5)
        super().keep_state(document, trusted)
        self.has_ended.set()


@pytest.mark.parametrize("failures", [0, 1, 3, 1023, 1024, 100_000])
def test_pause_is_bounded_however_long_the_control_plane_is_away(failures: int) -> None:
    assert 0 < longest_pause_seconds(failures) <= LONGEST_PAUSE_SECONDS


async def test_name_that_cannot_be_resolved_does_not_end_the_node(tmp_path: Path) -> None:
    node = make_node(NodeFiles(tmp_path / "node"), f"https://{'x' * 64}.example.org", "0" * 64)
    node.agent.restore()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        following = group.create_task(follow(node.agent))
        await asyncio.sleep(0.2)
        assert not following.done()
        following.cancel()


async def follow(agent: NodeAgent) -> None:
    async with AsyncExitStack() as stack:
        await agent.start(stack)
        await asyncio.Event().wait()


async def test_tls_is_prepared_beside_the_loop(control_plane: ControlPlane, tmp_path: Path) -> None:
    threads: list[threading.Thread] = []
    async with connected(control_plane, tmp_path) as (node, server):
        pin = read_spki_pin(control_plane.certificate)

        def build() -> object:
            threads.append(threading.current_thread())
            return build_client_context(pin)

        node.agent.build_tls = build  # type: ignore[assignment] # it only records the thread on the way
        await control_plane.channels[-1].close()
        await until(lambda: bool(threads))
        server.close()

    assert threads[0] is not threading.main_thread()


async def test_operation_that_hangs_holds_no_desired_state_up(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        hangs = asyncio.Event()

        async def hang(_: Mapping[str, JsonValue]) -> None:
            hangs.set()
            await asyncio.Event().wait()

        node.agent.operations = {"remove": hang}
        await control_plane.send(OperationFrame(document=removal("operation-1")))
        await until(hangs.is_set)
        await control_plane.send(Desired(document=desired(3)))
        await until(lambda: reported(control_plane) == 3)


async def test_node_comes_back_although_an_operation_hangs(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        hangs = asyncio.Event()

        async def hang(_: Mapping[str, JsonValue]) -> None:
            hangs.set()
            await asyncio.Event().wait()

        node.agent.operations = {"remove": hang}
        await control_plane.send(OperationFrame(document=removal("operation-1")))
        await until(hangs.is_set)
        await control_plane.channels[-1].close()
        await until(lambda: len(control_plane.channels) == 2, within_seconds=10)


async def test_operation_that_comes_again_while_it_is_at_work_begins_once(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        may_end = asyncio.Event()
        begun: list[JsonValue] = []

        async def remove(arguments: Mapping[str, JsonValue]) -> None:
            begun.append(arguments["address"])
            await may_end.wait()

        node.agent.operations = {"remove": remove}
        for _ in range(MAX_AT_ONCE * 2):
            await control_plane.send(OperationFrame(document=removal("operation-1")))
        await control_plane.send(Query(id="1", name="count"))
        await until(lambda: control_plane.last(Answer) == Answer(id="1", result={"accounts": 7}))
        may_end.set()
        await until(lambda: control_plane.last(Done) == Done(operation="operation-1"))

        assert begun == ["operation-1"]


async def test_flood_of_questions_is_answered_only_so_far(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        may_end = asyncio.Event()
        at_work: list[str] = []

        async def think(_: Mapping[str, JsonValue]) -> JsonValue:
            at_work.append("")
            await may_end.wait()
            return None

        node.agent.queries = {"think": think}
        for number in range(MAX_AT_ONCE + 10):
            await control_plane.send(Query(id=str(number), name="think"))
        await control_plane.send(Desired(document=desired(3)))
        await until(lambda: reported(control_plane) == 3)
        assert len(at_work) == MAX_AT_ONCE
        may_end.set()
        await until(lambda: sum(isinstance(frame, Answer) for frame in control_plane.heard) == MAX_AT_ONCE)


@pytest.mark.parametrize("length", [1000, 1001, 100_000])
async def test_long_problem_is_cut_and_told(control_plane: ControlPlane, tmp_path: Path, length: int) -> None:
    async with connected(control_plane, tmp_path) as (node, _):

        async def refuse(_: Mapping[str, JsonValue]) -> None:
            raise RefusedError("x" * length)

        node.agent.operations = {"remove": refuse}
        node.agent.queries = {"ask": refuse}
        await control_plane.send(OperationFrame(document=removal("operation-1")))
        await control_plane.send(Query(id="1", name="ask"))
        await until(lambda: control_plane.last(Done) == Done(operation="operation-1", problem="x" * 1000))
        await until(lambda: control_plane.last(Answer) == Answer(id="1", problem="x" * 1000))


async def test_answer_that_fits_into_no_frame_is_told_as_a_problem(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):

        async def tell_all(_: Mapping[str, JsonValue]) -> JsonValue:
            return "x" * MAX_FRAME_BYTES

        node.agent.queries = {"tell": tell_all}
        await control_plane.send(Query(id="1", name="tell"))
        refusal = Answer(id="1", problem="The answer is too long.")
        await until(lambda: control_plane.last(Answer) == refusal)


async def test_state_that_is_being_kept_when_its_connection_ends_is_not_overtaken(tmp_path: Path) -> None:
    """Else the older of two states could be the one that a restart finds, or a mixture of both."""
    files = SlowFiles(tmp_path / "node")
    node = make_node(files, "https://localhost:1", "0" * 64)
    node.agent.restore()
    async with asyncio.TaskGroup() as group:
        older = group.create_task(node.agent.accept_state(desired(3)))
        await asyncio.to_thread(files.is_begun.wait, 5)
        older.cancel()
        newer = group.create_task(node.agent.accept_state(desired(4)))
        await asyncio.sleep(0.1)
        files.may_end.set()
        await newer
        assert await asyncio.to_thread(files.has_ended.wait, 5)

    again = make_node(NodeFiles(tmp_path / "node"), "https://localhost:1", "0" * 64)
    assert again.agent.restore()
    assert again.agent.applied_revision == 4


async def test_damaged_record_of_operations_does_not_keep_the_state_from_being_used(tmp_path: Path) -> None:
    files = NodeFiles(tmp_path / "node")
    node = make_node(files, "https://localhost:1", "0" * 64)
    node.agent.restore()
    await node.agent.accept_state(desired(3))
    (tmp_path / "node" / "operations.json").write_bytes(b"\0half")

    again = make_node(NodeFiles(tmp_path / "node"), "https://localhost:1", "0" * 64)
    assert again.agent.restore()
    assert again.agent.applied_revision == 3


async def test_only_so_many_operations_are_remembered(tmp_path: Path) -> None:
    files = NodeFiles(tmp_path / "node")
    files.keep_operations({f"operation-{number}": None for number in range(REMEMBERED_OPERATIONS)})
    node = make_node(files, "https://localhost:1", "0" * 64)
    node.agent.restore()
    await node.agent.carry_out(removal("operation-new"))
    await node.agent.carry_out(removal("operation-0"))  # forgotten, so it is done again

    assert node.removed == ["operation-new", "operation-0"]
    assert len(files.read_operations()) == REMEMBERED_OPERATIONS
