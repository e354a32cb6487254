"""Hand messages over to a sibling by HTTPS, or ask it something, signed with this node's key.

For: ways.py, probes.py, and the finder of backup addresses.
Not for: when and how often (retry.py, lane.py).

Connections are kept open between messages. TLS is verified by a CA, or by the key that is pinned for the
sibling; one that is replaced gets new connections.

    a message taken ─▶ its answer says that batches are understood ─▶ batches ─▶ anything but such an answer
            ▲                                                                              │
            └────────────────────────── one by one, until it says so again ◀───────────────┘
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from mailnode.federation.batch import BATCH_PATH, digest_batch, read_answers, understands_batches, write_batch
from mailnode.federation.delivery import (
    DELIVERY_PATH,
    LARGE_MESSAGE_BYTES,
    Delivery,
    read_refused,
    tidy_reason,
)
from mailnode.federation.retry import Delivered, Failed, Outcome, judge_status
from mailnode.federation.siblings import Sibling
from mailnode.http_client import (
    KEEP_ALIVE_SECONDS,
    BrokenAnswerError,
    ConnectError,
    HttpError,
    Question,
    Site,
)
from nodelink.channel.client_tls import build_client_context
from nodelink.contract.assertions import make_assertion
from nodelink.contract.keys import PrivateKey

ANSWER_SECONDS = 60.0
LARGE_ANSWER_SECONDS = 120.0
"""For a whole request; the other side ends one that takes longer."""
MAX_ANSWER_BYTES = 1 << 20
MAX_ADDRESSES = 4
OK = 200

log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def find_addresses(host: str) -> Sequence[str]:
    """Find where a host is, as the system has it. Raises: OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


@dataclass(slots=True, eq=False)
class _Line:
    """The connections to a sibling, where it was found, and whether it has said that it reads batches."""

    site: Site
    takes_batches: bool = False
    address: str = ""
    found_at: float = 0


@dataclass(slots=True, kw_only=True)
class Transport:
    """The way to all siblings. `ca_file` holds CAs that vouch for them, `None`: those of the system."""

    node: str
    identity: PrivateKey
    ca_file: Path | None = None
    find_addresses: Callable[[str], Awaitable[Sequence[str]]] = find_addresses
    clock_seconds: Callable[[], float] = time.time
    _lines: dict[tuple[str, str | None], _Line] = field(init=False, default_factory=dict)

    def takes_batches(self, sibling: Sibling) -> bool:
        """Tell whether a sibling is known to take several messages at once."""
        line = self._lines.get(_key_of(sibling))
        return line is not None and line.takes_batches

    async def send(self, sibling: Sibling, delivery: Delivery, message: bytes) -> Outcome:
        """Try once to hand a message over."""
        if len(message) > LARGE_MESSAGE_BYTES:
            digest = await asyncio.to_thread(delivery.digest, message)
        else:
            digest = delivery.digest(message)
        question = Question("POST", DELIVERY_PATH, "", delivery.write_headers(), message)
        try:
            line = self._open_line(sibling)
            status, content = await self._ask(sibling, line, question, digest)
        except (HttpError, OSError) as error:
            return _fail(error)
        refusal = judge_status(status, tidy_reason(content.decode("utf-8", "replace")))
        if refusal is not None:
            return refusal
        line.takes_batches = understands_batches(content)
        return Delivered(read_refused(content))

    async def send_batch(
        self, sibling: Sibling, deliveries: Sequence[tuple[Delivery, bytes]]
    ) -> Sequence[Outcome]:
        """Try once to hand several messages over in one request; return what became of each.

        Where the sibling has no answer to that, as one that went back to an older release, each goes alone.
        """
        body = write_batch(deliveries)
        question = Question("POST", BATCH_PATH, "", (), body)
        try:
            line = self._open_line(sibling)
            status, content = await self._ask(sibling, line, question, digest_batch(body))
        except (HttpError, OSError) as error:
            return [_fail(error)] * len(deliveries)
        if status == OK and (outcomes := read_answers(content, len(deliveries))) is not None:
            return outcomes
        line.takes_batches = False
        refusal = judge_status(status, tidy_reason(content.decode("utf-8", "replace")))
        if isinstance(refusal, Failed):
            return [refusal] * len(deliveries)
        log.info("sibling takes no batch", node=sibling.node, status=status)
        return await asyncio.gather(*(self.send(sibling, *delivery) for delivery in deliveries))

    async def fetch(self, sibling: Sibling, path: str, digest: str, max_bytes: int) -> bytes | None:
        """Fetch what a sibling answers at a path; `None` where it does not. `digest` says what is asked.

        Who calls has a deadline for it.
        """
        try:
            line = self._open_line(sibling)
            status, content = await self._ask(sibling, line, Question("GET", path, ""), digest)
        except (HttpError, OSError) as error:
            log.info("sibling does not answer", node=sibling.node, problem=_describe(error))
            return None
        return content if 200 <= status < 300 and len(content) <= max_bytes else None

    async def close(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            line.site.close()
        self._lines.clear()

    async def _ask(self, sibling: Sibling, line: _Line, question: Question, digest: str) -> tuple[int, bytes]:
        """Ask; `digest` is what is signed. A line that breaks is one that may lead to another release next.

        Raises:
            HttpError, OSError: There is no whole answer.
        """
        headers = [*question.headers, ("authorization", self._sign(sibling, digest))]
        asked = replace(question, host=sibling.authority, headers=headers)
        is_large = len(question.content) > LARGE_MESSAGE_BYTES
        try:
            async with asyncio.timeout(LARGE_ANSWER_SECONDS if is_large else ANSWER_SECONDS):
                return await self._ask_anywhere(sibling, line, asked)
        except TimeoutError as error:
            line.takes_batches = False
            raise BrokenAnswerError("no whole answer in time") from error
        except HttpError:
            line.takes_batches = False
            raise

    async def _ask_anywhere(self, sibling: Sibling, line: _Line, question: Question) -> tuple[int, bytes]:
        """Ask at one of the sibling's addresses; the one that answered a moment ago has a connection.

        Raises:
            HttpError: There is no whole answer.
            OSError: Its name leads nowhere.
        """
        addresses: Sequence[str] = [line.address]
        if not line.address or time.monotonic() - line.found_at >= KEEP_ALIVE_SECONDS:
            addresses = (await self.find_addresses(sibling.host))[:MAX_ADDRESSES]
        problem = ConnectError("the host has no address")
        for address in addresses:
            try:
                answer = await line.site.ask(address, question)
            except ConnectError as error:
                line.address, problem = "", error
                continue
            line.address, line.found_at = address, time.monotonic()
            return answer
        raise problem

    def _sign(self, sibling: Sibling, digest: str) -> str:
        assertion = make_assertion(
            self.identity,
            node=self.node,
            audience=sibling.domain,
            now_seconds=int(self.clock_seconds()),
            content_digest=digest,
        )
        return f"Bearer {assertion}"

    def _open_line(self, sibling: Sibling) -> _Line:
        """Find the connections to a sibling. Raises: OSError, when the CAs cannot be read."""
        key = _key_of(sibling)
        line = self._lines.get(key)
        if line is None:
            site = Site(
                port=sibling.port,
                name=sibling.host,
                tls=build_client_context(sibling.tls_pin, self.ca_file),
                max_answer_bytes=MAX_ANSWER_BYTES,
            )
            line = self._lines[key] = _Line(site)
        return line


def _key_of(sibling: Sibling) -> tuple[str, str | None]:
    return sibling.authority, sibling.tls_pin


def _fail(error: Exception) -> Failed:
    """Judge why there is no answer: without a connection, or the CAs, nobody's message can go."""
    return Failed(_describe(error), is_of_node=isinstance(error, ConnectError | OSError))


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
