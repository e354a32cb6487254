"""Hand a message over to a sibling by HTTPS, or ask it something, signed with this node's key.

For: lane.py, probes.py, and the finder of backup addresses.
Not for: when and how often (retry.py, lane.py).

Connections are kept open between messages. TLS is verified by a CA, or by the key that is pinned for the
sibling; one that is replaced gets new connections.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import structlog

from mailnode.federation.delivery import LARGE_MESSAGE_BYTES, Delivery, read_refused, tidy_reason
from mailnode.federation.retry import Delivered, Failed, Outcome, judge_status
from mailnode.federation.siblings import Sibling
from nodelink.channel.client_tls import build_client_context
from nodelink.contract.assertions import make_assertion
from nodelink.contract.keys import PrivateKey

TIMEOUT = httpx.Timeout(60, connect=10)
KEEP_ALIVE_SECONDS = 25
"""Less than the other side waits for another request, or requests would meet connections that just close."""
CONNECTIONS_PER_NODE = 8
UNREACHABLE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
MAX_ANSWER_BYTES = 1 << 20

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Transport:
    """The way to all siblings. `ca_file` holds CAs that vouch for them, `None`: those of the system."""

    node: str
    identity: PrivateKey
    ca_file: Path | None = None
    clock_seconds: Callable[[], float] = time.time
    _clients: dict[tuple[str, str | None], httpx.AsyncClient] = field(init=False, default_factory=dict)

    async def send(self, sibling: Sibling, delivery: Delivery, message: bytes) -> Outcome:
        """Try once to hand a message over."""
        if len(message) > LARGE_MESSAGE_BYTES:
            digest = await asyncio.to_thread(delivery.digest, message)
        else:
            digest = delivery.digest(message)
        headers = [*delivery.write_headers(), self._sign(sibling, digest)]
        try:
            client = self._open_client(sibling)
            async with client.stream("POST", sibling.url, content=message, headers=headers) as answer:
                return await _judge(answer)
        except UNREACHABLE as error:
            return Failed(_describe(error), is_of_node=True)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            return Failed(_describe(error), is_of_node=False)
        except OSError as error:  # the file of CAs
            return Failed(_describe(error), is_of_node=True)

    async def fetch(self, sibling: Sibling, path: str, digest: str, max_bytes: int) -> bytes | None:
        """Fetch what a sibling answers at a path; `None` where it does not. `digest` says what is asked.

        Who calls has a deadline for it.
        """
        try:
            client = self._open_client(sibling)
            headers = [self._sign(sibling, digest)]
            async with client.stream("GET", f"{sibling.origin}{path}", headers=headers) as answer:
                content = b""
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > max_bytes:
                        return None
                return content if answer.is_success else None
        except (httpx.TransportError, httpx.InvalidURL, OSError) as error:
            log.info("sibling does not answer", node=sibling.node, problem=_describe(error))
            return None

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    def _sign(self, sibling: Sibling, digest: str) -> tuple[str, str]:
        assertion = make_assertion(
            self.identity,
            node=self.node,
            audience=sibling.domain,
            now_seconds=int(self.clock_seconds()),
            content_digest=digest,
        )
        return "authorization", f"Bearer {assertion}"

    def _open_client(self, sibling: Sibling) -> httpx.AsyncClient:
        key = sibling.url, sibling.tls_pin
        client = self._clients.get(key)
        if client is None:
            limits = httpx.Limits(max_connections=CONNECTIONS_PER_NODE, keepalive_expiry=KEEP_ALIVE_SECONDS)
            client = self._clients[key] = httpx.AsyncClient(
                verify=build_client_context(sibling.tls_pin, self.ca_file),
                timeout=TIMEOUT,
                limits=limits,
                trust_env=False,
                follow_redirects=False,
            )
        return client


async def _judge(answer: httpx.Response) -> Outcome:
    content = b""
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > MAX_ANSWER_BYTES:
            return Failed("the answer is too long", is_of_node=False)
    refusal = judge_status(answer.status_code, tidy_reason(content.decode("utf-8", "replace")))
    return Delivered(read_refused(content)) if refusal is None else refusal


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
