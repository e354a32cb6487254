"""One call of a resource: what it is about, and how it reaches services.

    read        looks at the database
    change      changes it, and has nodes looked after
    carry_out   changes accounts and mail on nodes, and waits until they have done it

For: resources.
Not for: who may call; that is known when there is a call (endpoints.py).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, or_, select

from controlplane.accounts.live import LiveAccounts, Whose
from controlplane.admins.access import Role
from controlplane.admins.audit import Author
from controlplane.admins.tokens import Caller
from controlplane.errors import DatabaseBusyError
from controlplane.madmail_rpc.envelope import Body, RpcError
from controlplane.nodes.fleet import IS_CHANGED
from controlplane.nodes.hub import ChannelHub
from controlplane.operations.models import NodeOperation
from controlplane.plane import Plane
from nodelink.contract.states import NodeKind

CARRIED_OUT_SECONDS = 10.0
LOOK_SECONDS = 0.05

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """Where calls are answered."""

    plane: Plane
    hub: ChannelHub
    started_at_seconds: int
    version: str
    carried_out_seconds: float = CARRIED_OUT_SECONDS


@dataclass(frozen=True, slots=True)
class Call:
    """A call. `node` and `kind` are `None` for the whole fleet."""

    site: Site
    caller: Caller
    now_seconds: int
    node: str | None
    kind: NodeKind | None
    method: str
    resource: str
    body: Body = field(repr=False)

    @property
    def author(self) -> Author:
        """Who changes something, and when."""
        return self.caller.at(self.now_seconds)

    @property
    def accounts(self) -> LiveAccounts:
        """What asks nodes about accounts."""
        return LiveAccounts(self.site.plane, self.site.hub)

    @property
    def whose(self) -> Whose:
        """Of which nodes accounts are asked."""
        return Whose(self.caller.scope, self.node)

    @property
    def may_see_secrets(self) -> bool:
        """Tell whether the caller could set the fleet's secrets, and so may see them."""
        return self.node is None and self.caller.role is not Role.VIEWER

    async def read(self, look: Callable[[Session], T]) -> T:
        """Look at the database. Raises: DatabaseBusyError."""

        def run() -> T:
            try:
                with self.site.plane.sessions() as session:
                    return look(session)
            except OperationalError as error:
                raise DatabaseBusyError(cause=str(error.orig)) from error

        return await run_in_threadpool(run)

    async def change(self, change: Callable[[Session], T]) -> T:
        """Change something, by one commit. Raises: DatabaseBusyError."""

        def run() -> T:
            try:
                with self.site.plane.sessions.begin() as session:
                    result = change(session)
            except OperationalError as error:
                raise DatabaseBusyError(cause=str(error.orig)) from error
            if session.info.get(IS_CHANGED):
                self.site.hub.wake()
            return result

        return await run_in_threadpool(run)

    async def carry_out(self, order: Callable[[Session], Sequence[str]]) -> int:
        """Have operations done on nodes; return 200 when they are, 202 when they still wait for a node.

        Args:
            order: Returns the ids of the operations, or of changes of many accounts.

        Raises:
            RpcError: A node says that it cannot do it (400).
        """
        ids = await self.change(order)
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self.site.carried_out_seconds
        while True:
            states = await self.read(lambda session: _read_states(session, ids))
            problems = sorted({problem for _, problem in states if problem is not None})
            if problems:
                raise RpcError(400, "; ".join(problems[:5]))
            if all(is_done for is_done, _ in states):
                return 200
            if loop.time() >= ends_at:
                return 202
            await asyncio.sleep(LOOK_SECONDS)


def _read_states(session: Session, ids: Sequence[str]) -> list[tuple[bool, str | None]]:
    wanted = or_(col(NodeOperation.id).in_(ids), col(NodeOperation.bulk_id).in_(ids))
    statement = select(NodeOperation.acknowledged_at_seconds, NodeOperation.problem).where(wanted)
    return [(at_seconds is not None, problem) for at_seconds, problem in session.exec(statement)]
