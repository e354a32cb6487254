"""Pull mail from exchangers: relays where it waits when its server cannot reach this node.

    due ─▶ GET URL/pull?domain=… ── 404, 405 ─▶ GET URL/me/full
              └──▶ each message: the gate, its author proved, the policy, stored ─▶ POST URL/pull/ack

For: the daemon; which exchangers there are is the control plane's to say, in force at once.
Not for: sending through one; an endpoint override names its `/mxdeliv` (routes.py).

What is pulled is trusted no more than what comes in at a door. The author of a message that is not taken gets
a report that says why, once he is proved; what is not proved is dropped, and counted. A message that is not
acknowledged comes again, and is stored once; what an exchanger tells again and again is looked at once. Where
more waits than it has told, it is asked again at once.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
import structlog

from mailnode.peering.errors import LaterError, ReceptionError
from mailnode.peering.policy import PeerPolicyHolder
from mailnode.peering.reception import Arrival, Reception
from mailnode.peering.waiting_mail import StrangeListError, WaitingMail, read_waiting
from nodelink.contract.federation import ExchangerAccess, PeerTransport
from nodelink.daemon.tasks import open_task_group

LOOK_SECONDS = 1.0
POLL_SECONDS = 120.0
TIMEOUT = httpx.Timeout(30, connect=10)
MAX_ANSWER_BYTES = 64 << 20
MAX_PROBLEM_CHARACTERS = 200
NO_PULL = frozenset((404, 405))

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ExchangerError(Exception):
    """An exchanger does not do what it is for. The text is for an operator."""


@dataclass(slots=True)
class _State:
    """What is known of an exchanger. `has_pull` is `None` until it was asked.

    `done` has the ids of the messages, by digest, that it has told and need not tell any more.
    """

    next_at: float = 0.0
    has_pull: bool | None = None
    done: dict[bytes, str] = field(default_factory=dict)
    problem: str | None = None


@dataclass(slots=True, kw_only=True)
class Exchangers:
    """All exchangers that are in force, each polled by itself."""

    domain: str
    reception: Reception
    policy: PeerPolicyHolder
    tls: ssl.SSLContext
    source_address: str | None = None
    look_seconds: float = LOOK_SECONDS
    clock: Callable[[], float] = time.monotonic
    _states: dict[ExchangerAccess, _State] = field(init=False, default_factory=dict)
    _running: set[ExchangerAccess] = field(init=False, default_factory=set)

    async def start(self, stack: AsyncExitStack) -> None:
        """Poll until the stack unwinds."""
        transport = httpx.AsyncHTTPTransport(
            verify=self.tls, local_address=self.source_address, trust_env=False
        )
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False, follow_redirects=False)
        )
        spawn = await open_task_group(stack)

        async def look() -> None:
            while True:
                for exchanger in self._find_due():
                    self._running.add(exchanger)
                    spawn(self._poll(client, exchanger))
                await asyncio.sleep(self.look_seconds)

        spawn(look())

    def list_problems(self) -> list[str]:
        """List what an operator should look after."""
        return [
            f"Exchanger {exchanger.name}: {state.problem}."
            for exchanger, state in self._states.items()
            if state.problem is not None
        ]

    def _find_due(self) -> list[ExchangerAccess]:
        current = self.policy.current
        wanted = current.exchangers if current.is_enabled else ()
        self._states = {each: self._states.get(each, _State()) for each in wanted}
        now = self.clock()
        return [
            each for each, state in self._states.items() if state.next_at <= now and each not in self._running
        ]

    async def _poll(self, client: httpx.AsyncClient, exchanger: ExchangerAccess) -> None:
        state = self._states[exchanger]
        problem = None
        pause_seconds = float(exchanger.interval_seconds)
        try:
            async with asyncio.timeout(POLL_SECONDS):
                if await self._pull(client, exchanger, state):
                    pause_seconds = 0
        except (ExchangerError, StrangeListError) as error:
            problem = str(error)[:MAX_PROBLEM_CHARACTERS]
        except TimeoutError:
            problem = "it does not answer in time"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = f"{type(error).__name__} {error}".strip()[:MAX_PROBLEM_CHARACTERS]
        finally:
            self._running.discard(exchanger)
            state.next_at = self.clock() + pause_seconds
        if problem != state.problem and problem is not None:
            log.warning("exchanger not polled", exchanger=exchanger.name, problem=problem)
        state.problem = problem

    async def _pull(self, client: httpx.AsyncClient, exchanger: ExchangerAccess, state: _State) -> bool:
        """Take what waits; tell whether more may be had at once. Raises: as `_ask`, StrangeListError."""
        content = None
        if state.has_pull is not False:
            content = await _ask(client, exchanger, "GET", f"/pull?domain={quote(self.domain, safe='')}")
            state.has_pull = content is not None
        if content is None:
            content = await _ask(client, exchanger, "GET", "/me/full")
        if content is None:
            state.has_pull = None
            raise ExchangerError("it knows neither /pull nor /me/full; correct its address")
        waiting = read_waiting(content)
        done: dict[bytes, str] = {}
        for each in waiting.messages:
            if each.digest in state.done or await self._is_done(exchanger, each):
                state.done[each.digest] = done[each.digest] = each.id
        state.done = done
        if not done or not state.has_pull:
            return False
        ids = [*done.values()]
        await _ask(client, exchanger, "POST", "/pull/ack", json.dumps({"ids": ids}).encode())
        return waiting.has_more

    async def _is_done(self, exchanger: ExchangerAccess, waiting: WaitingMail) -> bool:
        """Take a message, or find that nobody ever could; tell whether the exchanger may forget it."""
        problem = waiting.problem
        if problem is None:
            arrival = Arrival(exchanger.url, PeerTransport.HTTPS, waiting.mail_from, waiting.recipients)
            try:
                await self.reception.take_left(arrival, waiting.body)
            except LaterError as refusal:
                log.info("message left at exchanger", exchanger=exchanger.name, problem=str(refusal))
                return False
            except ReceptionError as refusal:
                problem = refusal.public_text
        if problem is not None:
            self.reception.traffic.note_dropped()
            log.info("message of exchanger dropped", exchanger=exchanger.name, problem=problem)
        return True


async def _ask(
    client: httpx.AsyncClient, exchanger: ExchangerAccess, method: str, path: str, content: bytes = b""
) -> bytes | None:
    """Ask an exchanger; `None` where it does not know what is asked.

    Raises:
        ExchangerError: It refuses, or answers too much.
        httpx.HTTPError, httpx.InvalidURL: It cannot be reached.
    """
    headers = {"content-type": "application/json"} if content else {}
    if exchanger.token is not None:
        headers["authorization"] = f"Bearer {exchanger.token}"
    url = exchanger.url.rstrip("/") + path
    async with client.stream(method, url, content=content, headers=headers) as answer:
        if answer.status_code in NO_PULL:
            return None
        if answer.status_code in {401, 403}:
            raise ExchangerError("it refuses the token")
        if not 200 <= answer.status_code < 300:
            raise ExchangerError(f"it answers {answer.status_code}")
        body = bytearray()
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                raise ExchangerError(f"it answers more than {MAX_ANSWER_BYTES >> 20} MiB")
        return bytes(body)
