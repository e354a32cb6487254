"""Probe the other mail nodes: an encrypted message there and back, by the way that all mail takes.

    =probe@ours ── /mxdeliv ──▶ =echo@theirs ── the same message, /mxdeliv ──▶ =probe@ours

Neither address can be an account's, and nothing of it is stored. What comes to `=probe` is never answered, so
no two nodes can keep one another busy.

For: a mail node that belongs to a fleet.
Not for: when, and who is next (nodelink.channel.probing), nor for letting deliveries in (inbound.py).
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes, token_urlsafe
from typing import assert_never

from mailnode.federation.delivery import Delivery
from mailnode.federation.probe_message import write_probe_message
from mailnode.federation.retry import Delivered, Failed, Outcome, Refused
from mailnode.federation.siblings import Sibling, Siblings
from mailnode.federation.transport import Transport
from nodelink.channel.probing import ProbeError
from nodelink.daemon.tasks import Spawn, open_task_group

PROBE_NAME = "=probe"
ECHO_NAME = "=echo"
TEXT_BYTES = 500
MAX_PROBE_BYTES = 65_536
MAX_OPEN_ECHOES = 64


@dataclass(slots=True, kw_only=True)
class MailProbes:
    """Both sides of a probe. Nothing is answered until it is started."""

    domain: str
    siblings: Siblings
    transport: Transport
    _waiting: "dict[bytes, asyncio.Future[None]]" = field(init=False, default_factory=dict)
    _open_echoes: int = field(init=False, default=0)
    _spawn: Spawn | None = field(init=False, default=None)

    async def start(self, stack: AsyncExitStack) -> None:
        """Answer until the stack unwinds."""
        self._spawn = await open_task_group(stack)

    def list_names(self) -> Sequence[str]:
        """List the names of those who can be probed."""
        return self.siblings.list_nodes()

    async def probe(self, name: str) -> float:
        """Send a message to a sibling and back; return how many seconds it took.

        Raises:
            ProbeError: It was not taken there. Who calls has a deadline for the way back.
        """
        sibling = self.siblings.find_node(name)
        if sibling is None:
            raise ProbeError("It is no mail node of the fleet any more.")
        sender, recipient = f"{PROBE_NAME}@{self.domain}", f"{ECHO_NAME}@{sibling.domain}"
        message = write_probe_message(sender, recipient, token_bytes(TEXT_BYTES))
        digest = sha256(message).digest()
        back: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[digest] = back
        began_at = time.monotonic()
        try:
            await self._send(sibling, sender, recipient, message)
            await back
        finally:
            del self._waiting[digest]
        return time.monotonic() - began_at

    def take(self, sibling: Sibling, delivery: Delivery, message: bytes) -> bool:
        """Take a delivery that passed the gate, if it is of a probe; tell whether it was."""
        names = {recipient.rpartition("@")[0] for recipient in delivery.recipients}
        if names == {PROBE_NAME}:
            back = self._waiting.get(sha256(message).digest())
            if back is not None and not back.done():
                back.set_result(None)
            return True
        if names != {ECHO_NAME}:
            return False
        may_answer = len(message) <= MAX_PROBE_BYTES and self._open_echoes < MAX_OPEN_ECHOES
        if self._spawn is not None and may_answer:
            self._open_echoes += 1
            self._spawn(self._answer(sibling, message))
        return True

    async def _answer(self, sibling: Sibling, message: bytes) -> None:
        try:
            await self._send(sibling, f"{ECHO_NAME}@{self.domain}", f"{PROBE_NAME}@{sibling.domain}", message)
        except ProbeError:
            return  # whoever probes hears nothing, and says so
        finally:
            self._open_echoes -= 1

    async def _send(self, sibling: Sibling, sender: str, recipient: str, message: bytes) -> None:
        delivery = Delivery(token_urlsafe(18), sender, (recipient,))
        outcome: Outcome = await self.transport.send(sibling, delivery, message)
        match outcome:
            case Delivered() as delivered:
                for reason in delivered.refused.values():
                    raise ProbeError(f"Not taken: {reason}")
            case Refused() as refused:
                raise ProbeError(f"Refused: {refused.reason}")
            case Failed() as failed:
                raise ProbeError(f"Not reached: {failed.reason}")
            case _:
                assert_never(outcome)
