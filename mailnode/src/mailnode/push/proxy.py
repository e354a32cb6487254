"""Hand one token to the notification proxy.

For: pusher.py.
Not for: when and how often (retry.py).
"""

from dataclasses import dataclass, field

import httpx
import structlog

from mailnode.push.retry import Outcome, judge_status

TIMEOUT = httpx.Timeout(20, connect=10)
CONNECTIONS = 8

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class NotificationProxy:
    """The proxy at an address; TLS is verified by the system's CAs."""

    url: str
    _client: httpx.AsyncClient | None = field(init=False, default=None)

    async def send(self, token: str) -> Outcome:
        """Try once. Whatever the network does is a failure, not an error."""
        try:
            answer = await self._open().post(self.url, content=token.encode())
        except (httpx.TransportError, OSError) as error:
            log.info("notification proxy not reached", problem=type(error).__name__)
            return Outcome.FAILED
        return judge_status(answer.status_code)

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=TIMEOUT,
                limits=httpx.Limits(max_connections=CONNECTIONS),
                trust_env=False,
                follow_redirects=False,
            )
        return self._client
