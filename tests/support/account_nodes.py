"""Mail nodes with accounts, which answer and obey over real channels to a control plane on loopback.

What answers is the nodes' own code on a store; only the agent's part of the conversation is done here.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from pydantic import JsonValue
from websockets.exceptions import ConnectionClosed

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.administration.operations import Operations
from mailnode.administration.purge import Purge
from mailnode.administration.queries import Queries
from mailnode.peering.traffic import Traffic
from mailnode.store.account_register import AccountRegister
from nodelink.channel.connection import RefusedError
from nodelink.contract.federation import MAX_PEERS_SHOWN
from nodelink.contract.frames import Answer, Done, OperationFrame, Query
from nodelink.contract.keys import PrivateKey
from support.controlplane_node import FakeNode, open_node
from support.store_memory import MemoryMailStore


@dataclass
class AccountNode:
    """A mail node whose domain is `NAME.example`."""

    name: str
    store: AccountRegister = field(default_factory=MemoryMailStore)
    is_silent: bool = False
    done: list[str] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)

    def __post_init__(self) -> None:
        self.accounts = Accounts(
            store=self.store,
            policy=PolicyHolder(Policy(registration_open=False)),
            domain=f"{self.name}.example",
            hasher=PasswordHasher(memory_kib=8, time_cost=1, threads=1),
        )

    async def add(self, *names: str) -> None:
        for name in names:
            await self.store.add_account(f"{name}@{self.name}.example", "$argon2id$x", 1)

    @asynccontextmanager
    async def connect(self, port: int, key: PrivateKey, trusted: tuple[str, ...]) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await self.accounts.start(stack)
            channel = await stack.enter_async_context(open_node(port, self.name, key, trusted))
            await channel.greet()
            await channel.hear_state()
            task = asyncio.create_task(self._obey(channel))
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError, ConnectionClosed):
                    await task

    async def _answer_peers(self, _: Mapping[str, JsonValue]) -> JsonValue:
        return self.traffic.list_peers(MAX_PEERS_SHOWN).model_dump(mode="json")

    async def _obey(self, node: FakeNode) -> None:
        queries = {**Queries(self.accounts, self.store).by_name(), "peers": self._answer_peers}
        purge = Purge(self.accounts, self.store)
        operations = Operations(self.accounts, purge, lambda: None).by_name()
        while True:
            frame = await node.hear(within_seconds=60)
            if self.is_silent:
                continue
            if isinstance(frame, Query):
                try:
                    answer = Answer(id=frame.id, result=await queries[frame.name](frame.arguments))
                except RefusedError as error:
                    answer = Answer(id=frame.id, problem=str(error))
                await node.say(answer)
            elif isinstance(frame, OperationFrame):
                operation = node.open(frame)
                problem = None
                try:
                    await operations[operation.name](operation.arguments)
                except RefusedError as error:
                    problem = str(error)
                self.done.append(operation.name)
                await node.say(Done(operation=operation.id, problem=problem))
