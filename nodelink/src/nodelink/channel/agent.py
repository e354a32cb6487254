"""Follow the control plane: apply what it wants, tell how the node is.

For: every node, as one supervised part beside its real work. Losing the control plane, or anything that goes
wrong in here, is logged and tried again, and touches nothing else.
Not for: what a state means; the node hands in `apply`, `report`, its queries and its operations.

    restore() at start: the last signed state, from disk ──▶ apply
    start():  one connection to each address of the control plane's name (connection.py), each for itself
"""

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec

import structlog
from pydantic import JsonValue

from nodelink.channel.client_tls import build_client_context
from nodelink.channel.connection import Connection, RefusedError, resolve_addresses
from nodelink.channel.node_files import REMEMBERED_OPERATIONS, NodeFileError, NodeFiles
from nodelink.channel.node_settings import NodeSettings
from nodelink.channel.sibling_keeper import SiblingKeeper
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.errors import ContractError, MisaddressedError
from nodelink.contract.key_changes import follow_key_change
from nodelink.contract.keys import PrivateKey, PublicKey
from nodelink.contract.operations import Operation, open_operation
from nodelink.contract.reports import Report
from nodelink.contract.states import DesiredState, NodeState, open_desired_state
from nodelink.daemon.complaints import Complaints
from nodelink.daemon.tasks import Spawn, open_task_group

RESOLVE_SECONDS = 30
SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 4
"""A control plane that comes back hears of every node within 10 s; jitter spreads their handshakes."""

P = ParamSpec("P")

Apply = Callable[[NodeState], None]
Answerer = Callable[[Mapping[str, JsonValue]], Awaitable[JsonValue]]
Executor = Callable[[Mapping[str, JsonValue]], Awaitable[None]]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def open_agent(  # noqa: PLR0913 - all that a node is made of, by name
    settings: NodeSettings,
    *,
    software_version: str,
    apply: Apply,
    read_report: Callable[[int], Report],
    queries: Mapping[str, Answerer] | None = None,
    operations: Mapping[str, Executor] | None = None,
) -> "NodeAgent | None":
    """Build a node's agent, with its last desired state in force; `None` before the node is enrolled.

    Raises:
        NodeFileError: A file of the node is damaged.
    """
    files = settings.open_node_files()
    enrolment = files.read_enrolment()
    if enrolment is None:
        log.warning("node not enrolled", remedy="run the commands `join` or `enrol`, then restart")
        return None
    agent = NodeAgent(
        files=files,
        identity=files.load_identity(),
        enrolment=enrolment,
        software_version=software_version,
        apply=apply,
        read_report=read_report,
        build_tls=lambda: build_client_context(enrolment.tls_pin, settings.controlplane_ca_file),
        queries=queries or {},
        operations=operations or {},
    )
    agent.restore()
    return agent


def longest_pause_seconds(failures: int) -> float:
    """Tell how long the pause after so many failures in a row may be."""
    # The exponent is bounded because a control plane may be away for weeks, and floats end at 2**1024.
    return min(LONGEST_PAUSE_SECONDS, SHORTEST_PAUSE_SECONDS * (1 << min(failures, 16)))


@dataclass(slots=True, kw_only=True)
class NodeAgent:
    """The node's follower of the control plane.

    `apply` puts a state in force at once and must not fail for a valid one; `read_report` is given the
    applied revision; `queries` and `operations` are what the node answers and does, by name. `clock` tells
    whether an operation has expired.
    """

    files: NodeFiles
    identity: PrivateKey
    enrolment: Enrolment
    software_version: str
    apply: Apply
    read_report: Callable[[int], Report]
    build_tls: Callable[[], ssl.SSLContext]
    queries: Mapping[str, Answerer] = field(default_factory=dict)
    operations: Mapping[str, Executor] = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    complaints: Complaints = field(default_factory=lambda: Complaints(log))
    applied_revision: int = field(init=False, default=0)
    connected: set[str] = field(init=False, default_factory=set)
    _trusted: tuple[PublicKey, ...] = field(init=False, default=())
    _done: dict[str, str | None] = field(init=False, default_factory=dict)
    _siblings: SiblingKeeper = field(init=False)
    _state: NodeState | None = field(init=False, default=None)
    _changing: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    _operating: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._siblings = SiblingKeeper(self.files, self.enrolment.node)

    def restore(self) -> bool:
        """Apply the last signed state from disk; tell whether there was one. Call it before serving."""
        self._siblings.restore()
        self._trusted = tuple(PublicKey(x) for x in self.enrolment.trusted_keys)
        try:
            self._done = self.files.read_operations()
        except NodeFileError as error:
            log.error("kept operations not usable", problem=str(error))  # noqa: TRY400 - the text says it all
        try:
            kept = self.files.read_state()
            if kept is None:
                return False
            self._trusted = tuple(PublicKey(x) for x in kept.trusted_keys)
            if kept.document is None:
                return False
            document_keys = tuple(PublicKey(x) for x in kept.document_keys or kept.trusted_keys)
            desired = open_desired_state(kept.document, document_keys, self.enrolment.node)
        except (NodeFileError, ContractError) as error:
            log.error("kept state not usable", problem=str(error))  # noqa: TRY400 - the text says it all
            return False
        self._put_in_force(desired)
        return True

    def tell_trusted_keys(self) -> tuple[str, ...]:
        """Tell which keys of the control plane are trusted now, the newest last."""
        return tuple(key.x for key in self._trusted)

    async def start(self, stack: AsyncExitStack) -> None:
        """Keep a connection to each address of the control plane until the stack unwinds."""
        spawn = await open_task_group(stack)
        spawn(self._follow_addresses(spawn))

    async def accept_state(self, document: str) -> None:
        """Check a desired state, keep it, and put it in force; the one in force changes nothing.

        Raises:
            ContractError: It is not signed, not for this node, older than the one in force, or cannot be
                read.
            OSError: It could not be kept; it is not in force either.
        """
        async with self._changing:
            desired = open_desired_state(document, self._trusted, self.enrolment.node)
            if desired.revision == self.applied_revision:
                return
            if desired.revision < self.applied_revision:
                raise MisaddressedError(
                    f"the desired state is an old one: revision {desired.revision}, "
                    f"while {self.applied_revision} is in force"
                )
            if desired.state.kind is not self.enrolment.kind:
                raise MisaddressedError(f"the desired state is for a {desired.state.kind} node")
            trusted = self._trusted
            if desired.trusted_keys != self.tell_trusted_keys():
                trusted = tuple(PublicKey(x) for x in desired.trusted_keys)
                open_desired_state(document, trusted, self.enrolment.node)  # or the next start could not
            await _finish_in_thread(self.files.keep_state, document, trusted)
            self._trusted = trusted
            self._put_in_force(desired)

    def tell_lacking_siblings(self) -> str | None:
        """Tell the digest of the list of siblings that must be asked for; `None` while nothing is lacking."""
        return self._siblings.tell_lacking()

    async def accept_siblings(self, document: str) -> None:
        """Check a list of siblings, keep it, and put it in force with the present state.

        Raises:
            ContractError: It is not signed by a trusted key, cannot be read, or is not the one that the
                desired state names.
            OSError: It could not be kept; it is not in force either.
        """
        async with self._changing:
            checked = self._siblings.check(document, self._trusted)
            if checked is None or self._state is None:
                return
            await _finish_in_thread(self.files.keep_siblings, checked.kept)
            self._siblings.hold(checked)
            self.apply(self._siblings.complete(self._state))

    async def follow_key_changes(self, documents: Sequence[str]) -> None:
        """Trust the keys to which a chain of key changes leads, and keep that; what was followed stays so.

        Raises:
            ContractError: A change is not signed by the newest key that is trusted, or cannot be read.
            OSError: It could not be kept; the former keys are trusted on.
        """
        async with self._changing:
            trusted = self._trusted
            try:
                for document in documents:
                    trusted = follow_key_change(document, trusted)
            finally:
                if trusted != self._trusted:
                    await _finish_in_thread(self.files.keep_trusted_keys, trusted)
                    self._trusted = trusted
                    log.info("key change followed", key_id=trusted[-1].key_id)

    async def carry_out(self, document: str) -> tuple[str, str | None]:
        """Carry out an operation, once; return its id and the problem that it had.

        Raises:
            ContractError: It is not signed, not for this node, has expired, or cannot be read.
        """
        operation = open_operation(document, self._trusted, self.enrolment.node, int(self.clock()))
        async with self._operating:  # not `_changing`: an operation that takes long holds no state up
            if operation.id not in self._done:
                self._done[operation.id] = await self._execute(operation)
                while len(self._done) > REMEMBERED_OPERATIONS:
                    del self._done[next(iter(self._done))]
                await _finish_in_thread(self.files.keep_operations, dict(self._done))
            return operation.id, self._done[operation.id]

    async def answer(self, name: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        """Answer a question. Raises: RefusedError."""
        answerer = self.queries.get(name)
        if answerer is None:
            raise RefusedError(f"This node knows no query {name}.")
        return await answerer(arguments)

    async def _execute(self, operation: Operation) -> str | None:
        """Do what an operation says; return the problem if it can never be done."""
        executor = self.operations.get(operation.name)
        if executor is None:
            return f"This node knows no operation {operation.name}."
        try:
            await executor(operation.arguments)
        except RefusedError as error:
            return str(error)
        return None

    def _put_in_force(self, desired: DesiredState) -> None:
        self._state = desired.state
        self.apply(self._siblings.complete(desired.state))
        self.applied_revision = desired.revision
        log.info("desired state in force", revision=desired.revision)

    async def _follow_addresses(self, spawn: Spawn) -> None:
        """Keep one task for each address that the name has now."""
        tasks: dict[str, asyncio.Task[None]] = {}
        while True:
            try:
                addresses = await resolve_addresses(self.enrolment.url)
            except (OSError, ValueError) as error:  # the latter for what can be no name at all
                self.complaints.warning(
                    "control plane's name not resolved", url=self.enrolment.url, problem=str(error)
                )
                await asyncio.sleep(LONGEST_PAUSE_SECONDS)
                continue
            for address in addresses - tasks.keys():
                tasks[address] = spawn(self._keep_connected(address))
            for address in tasks.keys() - addresses:
                tasks.pop(address).cancel()
            await asyncio.sleep(RESOLVE_SECONDS)

    async def _keep_connected(self, address: str) -> None:
        """Connect, and connect again, with a growing pause and full jitter while that fails."""
        myself = asyncio.current_task()
        failures = 0
        while True:
            began_at = time.monotonic()
            try:
                await Connection(self, address).run()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - a supervisor: nothing in here may touch the node's work
                self.complaints.warning(
                    "control plane not connected", problem=f"{type(error).__name__}: {error}"
                )
            if myself is not None and myself.cancelling():
                return  # a group whose task fails at that very moment raises this failure instead
            failures = 0 if time.monotonic() - began_at > LONGEST_PAUSE_SECONDS else failures + 1
            longest_seconds = longest_pause_seconds(failures)
            await asyncio.sleep(random.uniform(SHORTEST_PAUSE_SECONDS, longest_seconds))  # noqa: S311 - no secret


async def _finish_in_thread(write: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Write in a thread; a cancellation is raised after that has ended.

    The caller holds a lock, which must not be free while the thread is still at its file: else the next one
    would write beside it, and the older content could win.
    """
    writing = asyncio.get_running_loop().run_in_executor(None, partial(write, *args, **kwargs))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise
