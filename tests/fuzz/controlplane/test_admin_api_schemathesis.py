"""The whole Admin API against its own document, over a real socket, by a tool that knows none of our code."""

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import JsonValue
from websockets.exceptions import ConnectionClosed

from controlplane.plane import Plane
from nodelink.contract.frames import Answer, Query, read_frame_from_control_plane
from nodelink.contract.states import NodeKind
from support.controlplane_node import FakeNode, open_node
from support.controlplane_site import add_group, add_node, open_test_plane, serve_plane

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

TOKEN = "a-static-token-of-an-operator-0123456789"
MAX_EXAMPLES = 8
"""About 1,400 requests; what a run of a minute can hold."""
SOON_SECONDS = 150
ANSWERS: dict[str, JsonValue] = {
    "status": {"accounts": 3},
    "accounts": {"accounts": []},
    "account": {"account": None},
    "account_totals": {"accounts": 0, "size_bytes": 0, "message_count": 0},
    "blocklist": {"blocked": []},
    "queue": {"queued": []},
    "export_accounts": {"accounts": []},
    "peers": {"peers": [], "total": 0},
}
"""What a node says to each question: that there is nothing."""
EXCLUDED = "positive_data_acceptance,ignored_auth"
"""The first takes every 412, 428 and bad cursor for a fault; no schema can say which tag is the present one.
The second shows so many wrong tokens that 429 answers them; test_scopes_over_http.py asks instead."""


async def answer_queries(node: FakeNode) -> None:
    """Answer until the node is retired, which is one of the things that are tried."""
    with suppress(ConnectionClosed):
        async for text in node.channel:
            frame = read_frame_from_control_plane(text)
            if isinstance(frame, Query):
                await node.say(Answer(id=frame.id, result=ANSWERS[frame.name], problem=None))


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plane]:
    """A control plane whose token cannot be revoked, which is one of the things that are tried.

    It sends no message to the webhooks that are made up: nobody knows where those lead.
    """
    monkeypatch.setattr("controlplane.webhooks.sender.SEND_SECONDS", 3600)
    with open_test_plane(tmp_path, admin_token=TOKEN) as plane:
        yield plane


async def test_admin_api_does_what_its_document_says(
    plane: Plane, tmp_path: Path, show: Callable[[str], None]
) -> None:
    mail, turn = add_node(plane, "mail1"), add_node(plane, "turn1", NodeKind.TURN)
    add_group(plane, "eu", "mail1")
    trusted, began_at = plane.keys.trusted, time.monotonic()
    async with (
        serve_plane(plane) as port,
        open_node(port, "mail1", mail, trusted) as mail1,
        open_node(port, "turn1", turn, trusted) as turn1,
        asyncio.TaskGroup() as group,
    ):
        answering = []
        for node in (mail1, turn1):
            await node.greet()
            answering.append(group.create_task(answer_queries(node)))
        program = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("st"),
            "run",
            f"http://127.0.0.1:{port}/api/v1/openapi.json",
            "--header",
            f"Authorization: Bearer {TOKEN}",
            "--exclude-checks",
            EXCLUDED,
            "--max-examples",
            str(MAX_EXAMPLES),
            "--suppress-health-check=all",
            "--generation-database=none",
            "--continue-on-failure",
            "--seed=1",
            "--no-color",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(SOON_SECONDS):
                output = (await program.communicate())[0].decode()
        finally:
            if program.returncode is None:
                program.kill()
        for task in answering:
            task.cancel()

    assert program.returncode == 0, output
    generated = re.search(r"(\d+) generated", output)
    assert generated is not None
    assert int(generated[1]) > 500
    operations = re.search(r"Selected: (\d+)/(\d+)\n +Tested: (\d+)", output)
    assert operations is not None
    assert len(set(operations.groups())) == 1
    took_seconds = time.monotonic() - began_at
    show(f"schemathesis: {generated[1]} requests in {took_seconds:.0f} s, no 5xx, nothing undocumented")
