"""Whatever a node sends, the control plane goes on; at worst that node's channel ends."""

import json
from collections.abc import Callable, Coroutine
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from controlplane.nodes.channel import FRAME_BURST
from controlplane.plane import Plane
from nodelink.contract.frames import MAX_FRAME_BYTES
from nodelink.contract.keys import PrivateKey
from support.controlplane_node import FakeNode, open_node
from support.controlplane_site import add_node, make_report, open_test_plane, serve_plane

HELLO = {"type": "hello", "applied_revision": 0, "software_version": "0.1.0"}
REPORT = {"type": "report", "report": json.loads(make_report().model_dump_json())}
ANSWER: dict[str, object] = {"type": "answer", "id": "x", "result": [1, None, {}], "problem": None}
DONE = {"type": "done", "operation": "x", "problem": None}
HUGE_NUMBERS = st.sampled_from([10**40, -(10**40), 2**63, 1e308, float("nan"), float("inf")])

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | HUGE_NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def mutated_frames(draw: st.DrawFn) -> str:
    """A frame of the contract with one value, anywhere in it, replaced or removed."""
    frame = json.loads(json.dumps(draw(st.sampled_from([HELLO, REPORT, ANSWER, DONE]))))
    place = frame
    while isinstance(inner := place.get(draw(st.sampled_from(sorted(place)))), dict) and inner:
        place = inner
    name = draw(st.sampled_from(sorted(place)))
    if draw(st.booleans()):
        place[name] = draw(any_json)
    else:
        del place[name]
    return json.dumps(frame)


any_message = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60),
    any_json.map(json.dumps),
    mutated_frames(),
    mutated_frames().map(str.encode),
    mutated_frames().flatmap(lambda text: st.integers(0, len(text)).map(lambda end: text[:end])),
)


def run_with_node(plane: Plane, talk: Callable[[FakeNode, int], Coroutine[None, None, None]]) -> None:
    """Let a node talk, then see that the control plane still serves it."""

    async def run(key: PrivateKey) -> None:
        async with serve_plane(plane) as port:
            async with open_node(port, "mail1", key, plane.keys.trusted) as node:
                await node.greet()
                await node.hear_state()
                await talk(node, port)
            async with open_node(port, "mail1", key, plane.keys.trusted) as again:
                await again.greet()
                assert (await again.hear_state()).node == "mail1"

    anyio.run(run, add_node(plane, "mail1"))


@given(messages=st.lists(st.lists(any_message, max_size=FRAME_BURST // 10), min_size=1, max_size=6))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_garbage_never_ends_the_control_plane(
    tmp_path_factory: pytest.TempPathFactory, messages: list[list[str | bytes]]
) -> None:
    directory: Path = tmp_path_factory.mktemp("plane")

    async def babble(node: FakeNode, _: int) -> None:
        try:
            for message in (message for batch in messages for message in batch):
                await node.channel.send(message)
        except ConnectionClosed:
            return

    with open_test_plane(directory) as plane:
        run_with_node(plane, babble)


@pytest.mark.parametrize(
    "message", ["[" * 100_000, '{"type":' * 50_000, "\0" * 1000, b"\xff" * 1000, "", b""], ids=lambda m: m[:8]
)
def test_pathological_message_is_passed_over(plane: Plane, message: str | bytes) -> None:
    async def send(node: FakeNode, _: int) -> None:
        await node.channel.send(message)
        await node.report(make_report())

    run_with_node(plane, send)


@pytest.mark.parametrize(("extra", "code"), [(0, None), (1, 1009)])
def test_frame_has_a_largest_size(plane: Plane, extra: int, code: int | None) -> None:
    async def send(node: FakeNode, _: int) -> None:
        try:
            await node.channel.send("x" * (MAX_FRAME_BYTES + extra))
            await (await node.channel.ping())
        except ConnectionClosed:
            assert code is not None
        assert node.channel.close_code == code

    run_with_node(plane, send)
