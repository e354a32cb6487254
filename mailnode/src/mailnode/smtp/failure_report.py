"""Put a report about a message that was not delivered to everybody into its sender's mailbox.

For: submission.py and the queue of mail to other nodes.
Not for: what stands in the report (delivery_report.py).

A full mailbox takes reports all the same, up to `REPORT_ROOM_BYTES` beyond its quota: whoever writes to many
and reads nothing must not fill a disk with them.
"""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from mailnode.accounts.accounts import Accounts
from mailnode.smtp.delivery_report import write_report
from mailnode.store.mail_store import MailStore

REPORT_ROOM_BYTES = 1 << 20
"""Some 500 reports about one recipient each, or the largest one: 500 recipients, each named twice."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def report_failure(  # noqa: PLR0913 - all that a report is made of, by name
    accounts: Accounts,
    store: MailStore,
    *,
    sender: str,
    refused: Mapping[str, str],
    message: bytes,
    now_seconds: float,
) -> None:
    """Tell the sender who did not get the message and why; when this returns, that is durable.

    Nobody is told where the sender's account is gone, or has had more reports than there is room for.

    Raises:
        StoreUnavailableError: It cannot be stored now.
    """
    report = write_report(
        domain=accounts.domain, sender=sender, refused=refused, message=message, now_seconds=now_seconds
    )
    account = await accounts.find_recipient(sender)
    if account is None:
        log.info("delivery report not delivered", reason="no account", recipients=len(refused))
        return
    to_sender = accounts.as_recipient(account)
    with_room = replace(to_sender, quota_bytes=to_sender.quota_bytes + REPORT_ROOM_BYTES)
    if await store.deliver([with_room], report, int(now_seconds)):
        log.warning("delivery report not delivered", reason="mailbox full", recipients=len(refused))
