"""Put a report about a message that was not delivered to everybody into its sender's mailbox.

For: submission.py and the queue of mail to other nodes.
Not for: what stands in the report (delivery_report.py).
"""

from collections.abc import Mapping

import structlog

from mailnode.accounts.accounts import Accounts
from mailnode.smtp.delivery_report import write_report
from mailnode.store.mail_store import MailStore, StoreUnavailableError

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
    """Tell the sender who did not get the message and why, if his own mailbox has room for that."""
    report = write_report(
        domain=accounts.domain, sender=sender, refused=refused, message=message, now_seconds=now_seconds
    )
    is_lost = True
    try:
        # Looked up now: his quota may have changed since he sent the message.
        account = await accounts.find_recipient(sender)
        if account is not None:
            to_sender = [accounts.as_recipient(account)]
            is_lost = bool(await store.deliver(to_sender, report, int(now_seconds)))
    except StoreUnavailableError as trouble:
        log.warning("delivery report not stored", reason=str(trouble))
    if is_lost:
        log.info("delivery report not delivered", recipients=len(refused))
