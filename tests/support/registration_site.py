"""A control plane that is served, and mail nodes that follow it and make accounts, or do not."""

import asyncio
import time
from contextlib import AsyncExitStack

import httpx
from sqlmodel import select

from controlplane.nodes.models import NodeReport
from controlplane.operations.models import NodeOperation
from controlplane.plane import Plane
from nodelink.contract.frames import Done, OperationFrame, read_frame_from_control_plane
from nodelink.contract.operations import Operation, open_operation
from nodelink.contract.states import NodeKind
from support.clocks import until
from support.controlplane_node import FakeNode, open_node
from support.controlplane_site import add_node, make_report


class RegistrationSite:
    """A control plane that is served, and nodes that follow it."""

    def __init__(self, plane: Plane, port: int, stack: AsyncExitStack) -> None:
        self.plane, self.port, self.stack = plane, port, stack
        self.made: dict[str, list[Operation]] = {}
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)

    async def add(self, name: str, problem: str | None = None, **changes: object) -> FakeNode:
        """Add a mail node that makes accounts, or has this problem with it (`silent`: never answers)."""
        key = add_node(self.plane, name)
        opened = open_node(self.port, name, key, self.plane.keys.trusted)
        node = await self.stack.enter_async_context(opened)
        await node.greet()
        await node.report(make_report(NodeKind.MAIL, **{"public_name": f"{name}.example.org", **changes}))
        self.made[name] = []
        task = asyncio.create_task(self._serve(node, problem))
        self.stack.callback(task.cancel)
        await until(lambda: any(kept.node_name == name for kept in self.reports()))
        return node

    async def _serve(self, node: FakeNode, problem: str | None) -> None:
        async for text in node.channel:
            frame = read_frame_from_control_plane(text)
            if isinstance(frame, OperationFrame):
                operation = open_operation(frame.document, node.trusted, node.name, int(time.time()))
                self.made[node.name].append(operation)
                if problem != "silent":
                    await node.say(Done(operation=operation.id, problem=problem))

    def reports(self) -> list[NodeReport]:
        with self.plane.sessions() as session:
            return list(session.exec(select(NodeReport)))

    def operations(self) -> list[NodeOperation]:
        with self.plane.sessions() as session:
            return list(session.exec(select(NodeOperation)))
