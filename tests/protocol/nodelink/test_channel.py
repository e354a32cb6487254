"""The node's side of the channel, against a control plane that speaks the contract over real TLS."""

import asyncio
import json
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from nodelink.channel.client_tls import build_client_context
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.frames import Answer, Desired, Done, OperationFrame, Query, ReportFrame
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import MailNodeState
from nodelink.daemon.tls import ServerCertificate, read_spki_pin
from self_signed import make_certificate
from support.clocks import until
from support.node_channel import NEXT_KEY, ControlPlane, connected, desired, make_node, operation, reported

pytestmark = pytest.mark.anyio


@pytest.fixture
def control_plane(tmp_path: Path) -> ControlPlane:
    files = NodeFiles(tmp_path / "node")
    return ControlPlane(*make_certificate(tmp_path, "localhost"), files.load_identity().public)


async def test_state_is_put_in_force_and_reported(control_plane: ControlPlane, tmp_path: Path) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        await control_plane.send(Desired(document=desired(3)))
        await until(lambda: reported(control_plane) == 3)

        assert [state.kind for state in node.states] == ["mail"]


async def test_older_state_and_one_by_a_stranger_change_nothing(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        for document in (desired(3), desired(2), desired(9, key=PrivateKey.generate()), "garbage"):
            await control_plane.send(Desired(document=document))
        await control_plane.send(Desired(document=desired(4)))
        await until(lambda: reported(control_plane) == 4)

        assert len(node.states) == 2


async def test_last_state_is_in_force_after_a_restart_without_the_control_plane(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path):
        await control_plane.send(Desired(document=desired(3, jit_enabled=False)))
        await until(lambda: reported(control_plane) == 3)

    node = make_node(NodeFiles(tmp_path / "node"), "https://localhost:1", "0" * 64)
    assert node.agent.restore()
    assert isinstance(node.states[0], MailNodeState)
    assert (node.agent.applied_revision, node.states[0].jit_enabled) == (3, False)


async def test_announced_key_may_sign_later_and_the_former_one_may_not(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        await control_plane.send(Desired(document=desired(1)))
        await control_plane.send(Desired(document=desired(2, key=NEXT_KEY)))
        await until(lambda: reported(control_plane) == 2)
        await control_plane.send(Desired(document=desired(3)))
        await control_plane.send(Desired(document=desired(4, key=NEXT_KEY)))
        await until(lambda: reported(control_plane) == 4)

        assert len(node.states) == 3


async def test_kept_state_that_was_changed_is_not_used(control_plane: ControlPlane, tmp_path: Path) -> None:
    async with connected(control_plane, tmp_path):
        await control_plane.send(Desired(document=desired(3)))
        await until(lambda: reported(control_plane) == 3)
    path = tmp_path / "node" / "desired-state.json"
    kept = json.loads(path.read_text())
    header, payload, signature = kept["document"].split(".")
    path.write_text(json.dumps(kept | {"document": f"{header}.{payload[:-2]}.{signature}"}))

    node = make_node(NodeFiles(tmp_path / "node"), "https://localhost:1", "0" * 64)
    assert not node.agent.restore()
    assert node.states == []


async def test_question_is_answered_and_an_unknown_one_refused(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path):
        await control_plane.send(Query(id="1", name="count"))
        await until(lambda: control_plane.last(Answer) == Answer(id="1", result={"accounts": 7}))
        await control_plane.send(Query(id="2", name="unknown"))
        refusal = Answer(id="2", problem="This node knows no query unknown.")
        await until(lambda: control_plane.last(Answer) == refusal)


async def test_operation_is_carried_out_once_however_often_it_comes(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        done = Done(operation="operation-1")
        for _ in range(3):
            control_plane.heard.clear()
            document = operation("operation-1", {"address": "a@example.org"})
            await control_plane.send(OperationFrame(document=document))
            await until(lambda: done in control_plane.heard)
        await control_plane.send(OperationFrame(document=operation("operation-2", {})))
        refusal = Done(operation="operation-2", problem="There is no address.")
        await until(lambda: control_plane.last(Done) == refusal)

        assert node.removed == ["a@example.org"]


async def test_node_comes_back_within_ten_seconds(control_plane: ControlPlane, tmp_path: Path) -> None:
    async with connected(control_plane, tmp_path) as (node, server):
        server.close()
        await server.wait_closed()
        await until(lambda: not node.agent.connected)
        control_plane.heard.clear()
        again = await control_plane.open()
        await until(lambda: control_plane.last(ReportFrame) is not None, within_seconds=10)
        again.close()


async def test_key_that_was_not_pinned_is_refused_before_anything_is_sent(
    control_plane: ControlPlane,
) -> None:
    server = await control_plane.open()
    with pytest.raises(ssl.SSLCertVerificationError, match="pinned"):
        await asyncio.open_connection(
            "127.0.0.1", control_plane.port, ssl=build_client_context("0" * 64), server_hostname="localhost"
        )
    server.close()
    assert control_plane.heard == []


async def test_new_certificate_is_offered_without_a_restart(tmp_path: Path) -> None:
    files = make_certificate(tmp_path, "localhost")
    certificate = ServerCertificate(*files, reload_seconds=0.05)
    context = certificate.build_context()
    async with AsyncExitStack() as stack:
        await certificate.start(stack)
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        stack.callback(server.close)
        make_certificate(tmp_path, "localhost")
        pin = read_spki_pin(files[0])

        async def is_offered() -> bool:
            try:
                _, writer = await asyncio.open_connection(
                    *server.sockets[0].getsockname(), ssl=build_client_context(pin)
                )
            except ssl.SSLCertVerificationError:
                return False
            writer.close()
            return True

        async with asyncio.timeout(5):
            while not await is_offered():  # noqa: ASYNC110 - another handshake is the only way to know
                await asyncio.sleep(0.02)
        (tmp_path / "tls.key").write_text("broken")
        await asyncio.sleep(0.2)
        assert await is_offered()
