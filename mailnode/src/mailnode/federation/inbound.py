"""Take mail from another node of the fleet: who gets it, and whether it may pass.

For: the endpoint.
Not for: HTTP, or who may hand mail over (door.py).

    sender of that node ─▶ encryption gate ─▶ a probe? ─▶ our recipients ─▶ store, once: durable ─▶ the rest
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.address import MailDomain
from mailnode.accounts.errors import BadAddressError
from mailnode.encryption.errors import GateError
from mailnode.encryption.gate import check_incoming
from mailnode.federation.batch import Answer
from mailnode.federation.delivery import LARGE_MESSAGE_BYTES, Delivery
from mailnode.federation.errors import (
    MAILBOX_FULL,
    NO_SUCH_USER,
    DeliveryRefusedError,
    MailboxesFullError,
    NobodyHereError,
    NotPermittedError,
    TooLargeError,
    TryLaterError,
)
from mailnode.federation.probes import MailProbes
from mailnode.federation.siblings import Sibling
from mailnode.store.mail_store import AccountId, MailStore, Recipient, StoreUnavailableError

OK = 200

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Inbound:
    """The rules for all deliveries, and how many were taken."""

    accounts: Accounts
    store: MailStore
    probes: MailProbes | None = None
    clock_seconds: Callable[[], float] = time.time
    received_count: int = field(init=False, default=0)

    @property
    def max_bytes(self) -> int:
        """How large a message may be at this moment."""
        return self.accounts.policy.current.message_bytes

    async def take(self, sibling: Sibling, delivery: Delivery, message: bytes) -> dict[str, str]:
        """Store a delivery, once; when this returns, it is durable.

        Returns:
            Who did not get it, each with the reason.

        Raises:
            NotPermittedError: The sender is none of that node, or the message is not encrypted.
            NobodyHereError: There is no recipient.
            MailboxesFullError: There are recipients, and none has room.
            TryLaterError: It cannot be stored now.
        """
        if _domain_of(delivery.mail_from) != sibling.domain:
            raise NotPermittedError(sibling.node)
        await _check(message)
        if self.probes is not None and self.probes.take(sibling, delivery, message):
            return {}
        try:
            return await self._store(sibling, delivery, message)
        except StoreUnavailableError as error:
            raise TryLaterError(str(error)) from error

    async def take_batch(
        self, sibling: Sibling, deliveries: Sequence[tuple[Delivery, bytes]]
    ) -> Sequence[Answer]:
        """Store several deliveries, each as if it had come alone, and all with one commit."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._answer(sibling, *each)) for each in deliveries]
        return [task.result() for task in tasks]

    async def _answer(self, sibling: Sibling, delivery: Delivery, message: bytes) -> Answer:
        try:
            if len(message) > self.max_bytes:
                raise TooLargeError
            return Answer(OK, await self.take(sibling, delivery, message))
        except DeliveryRefusedError as refusal:
            log.warning("delivery refused", status=refusal.status, detail=str(refusal))
            return Answer(refusal.status, reason=refusal.public_text)

    async def _store(self, sibling: Sibling, delivery: Delivery, message: bytes) -> dict[str, str]:
        refused: dict[str, str] = {}
        recipients: dict[AccountId, Recipient] = {}
        names: dict[AccountId, list[str]] = {}
        for address in delivery.recipients:
            account = await self.accounts.find_recipient(address)
            if account is None:
                refused[address] = NO_SUCH_USER
            else:
                recipients[account.id] = self.accounts.as_recipient(account)
                names.setdefault(account.id, []).append(address)
        if not recipients:
            raise NobodyHereError(sibling.node)
        now_seconds = int(self.clock_seconds())
        delivery_id = f"{sibling.node}:{delivery.id}"
        full = await self.store.deliver_once(delivery_id, [*recipients.values()], message, now_seconds)
        if full >= recipients.keys():
            raise MailboxesFullError(sibling.node)
        self.received_count += 1
        return refused | {name: MAILBOX_FULL for id_ in full for name in names.get(id_, ())}


async def _check(message: bytes) -> None:
    try:
        if len(message) > LARGE_MESSAGE_BYTES:
            await asyncio.to_thread(check_incoming, message)
        else:
            check_incoming(message)
    except GateError as refusal:
        raise NotPermittedError(refusal.detail, refusal.public_text) from refusal


def _domain_of(address: str) -> str | None:
    try:
        return MailDomain.parse(address.rpartition("@")[2]).name
    except BadAddressError:
        return None
