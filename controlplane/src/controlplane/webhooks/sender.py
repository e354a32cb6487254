"""Look at the fleet, and send what is due: every replica does, and each message has one sender.

For: the application's lifespan.
Not for: what is sent, or when again (deliveries.py).
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import structlog
from sqlalchemy.exc import OperationalError

from controlplane.plane import Plane
from controlplane.webhooks.deliveries import Claimed, claim_due, forget_deliveries, note_result, watch
from controlplane.webhooks.errors import BadWebhookUrlError
from controlplane.webhooks.places import choose_address, read_target
from controlplane.webhooks.signing import write_headers
from nodelink.daemon.tasks import open_task_group

WATCH_SECONDS = 5.0
SEND_SECONDS = 1.0
DEADLINE_SECONDS = 10.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """What looks and sends."""

    plane: Plane
    clock: Callable[[], float]

    async def start(self, stack: AsyncExitStack) -> None:
        """Look and send until the stack unwinds."""
        spawn = await open_task_group(stack)
        spawn(self._watch())
        spawn(self._send())

    def look(self) -> int:
        """Make messages of what is new in the fleet; return how many."""
        now_seconds = int(self.clock())
        with self.plane.sessions.begin() as session:
            forget_deliveries(session, now_seconds)
            return watch(session, now_seconds)

    async def send_due(self) -> int:
        """Send what is due now; return how many messages that were."""
        claimed = await asyncio.to_thread(self._claim)
        if claimed:
            async with asyncio.TaskGroup() as group:
                for each in claimed:
                    group.create_task(self._deliver(each))
        return len(claimed)

    def _claim(self) -> list[Claimed]:
        with self.plane.sessions.begin() as session:
            return claim_due(session, self.plane.vault, int(self.clock()))

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                problem = await self._post(claimed)
        except TimeoutError:
            problem = f"No answer within {DEADLINE_SECONDS:.0f} s."
        except (httpx.HTTPError, OSError, UnicodeError) as error:
            problem = f"{type(error).__name__}: {error}"
        except BadWebhookUrlError as error:
            problem = error.public_text
        if problem is not None:
            log.warning(
                "webhook not delivered",
                webhook=claimed.webhook_id,
                attempts=claimed.attempts,
                problem=problem,
            )
        await asyncio.to_thread(self._note, claimed, problem)

    def _note(self, claimed: Claimed, problem: str | None) -> None:
        with self.plane.sessions.begin() as session:
            note_result(session, claimed, problem, int(self.clock()))

    async def _post(self, claimed: Claimed) -> str | None:
        """Send one message; return what was wrong. No redirect is followed: it could lead anywhere."""
        private = self.plane.settings.webhook_private_networks
        target = read_target(claimed.url, private)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        address = choose_address(target, [str(entry[4][0]).partition("%")[0] for entry in found], private)
        if address is None:
            return (
                f"{target.host} leads to no public address. CONTROLPLANE_WEBHOOK_PRIVATE_NETWORKS names the "
                "private networks that messages may go to."
            )
        host = f"[{address}]" if address.version == 6 else str(address)
        headers = write_headers(claimed.secret, claimed.id, int(self.clock()), claimed.body)
        trust = await asyncio.to_thread(ssl.create_default_context)  # reading all the CAs takes 25 ms
        async with (
            httpx.AsyncClient(verify=trust, trust_env=False, timeout=DEADLINE_SECONDS) as client,
            client.stream(
                "POST",
                f"{target.scheme}://{host}:{target.port}{target.path}",
                content=claimed.body,
                headers=headers | {"host": target.authority},
                extensions={"sni_hostname": target.host},
            ) as answer,
        ):
            return None if answer.is_success else f"The receiver answered with status {answer.status_code}."

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)  # nodes shall have come back after a start
            try:
                await asyncio.to_thread(self.look)
            except OperationalError as error:
                log.warning("database busy", cause=str(error.orig))

    async def _send(self) -> None:
        while True:
            try:
                await self.send_due()
            except* OperationalError as errors:
                log.warning("database busy", cause=str(errors.exceptions[0]))
            await asyncio.sleep(SEND_SECONDS)
