"""A queue on a full disk: mail that has waited too long, and a report of that which cannot be written yet.

    python -m support.queue_full_disk DIRECTORY

It tells what it saw, as JSON. The report is long: there is room to let the message go, and none for that. It
is a program of its own because the limit holds for a whole process.
"""

import asyncio
import json
import resource
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from structlog.testing import capture_logs

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.federation import lane, retry
from mailnode.federation.outbound import Outbound
from mailnode.federation.siblings import Siblings
from mailnode.federation.transport import Transport
from mailnode.store.mail_store import INBOX, Envelope
from mailnode.store.sqlite_store import SqliteMailStore
from nodelink.contract.keys import PrivateKey
from support.clocks import until

ALICE = "alice@one.example"
RECIPIENTS = tuple(f"{number:050}@far.example" for number in range(500))
ROOM_BYTES = 50_000
ATTEMPTS = 3


async def main() -> None:
    retry.FIRST_PAUSE_SECONDS = lane.STORE_PAUSE_SECONDS = 0.05
    directory = Path(sys.argv[1])
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(directory)
        await store.start(stack)
        account = await store.add_account(ALICE, "", 1)
        inbox = await store.find_mailbox(account.id, INBOX)
        assert inbox is not None
        envelope = Envelope("delivery-0123456789", "far.example", ALICE, RECIPIENTS)
        await store.deliver([], b"Message-ID: <1@one.example>\r\n\r\ntext\r\n", 1, [envelope])
        outbound = Outbound(
            store=store,
            accounts=Accounts(store=store, policy=PolicyHolder(Policy()), domain="one.example"),
            siblings=Siblings(),
            transport=Transport(node="one", identity=PrivateKey.generate()),
        )
        limit_files((directory / "mail.sqlite3-wal").stat().st_size + ROOM_BYTES)
        with capture_logs() as logged:
            await outbound.start(stack)
            await until(lambda: count_attempts(logged) >= ATTEMPTS)
        seen = {"waiting_on_full_disk": (await store.read_outgoing_usage()).message_count}
        limit_files(resource.RLIM_INFINITY)
        await until(lambda: not outbound.queued_count)
        messages = (await store.read_contents(inbox.id)).messages
        seen["waiting_after"] = (await store.read_outgoing_usage()).message_count
        seen["reports"] = len(messages)
    sys.stdout.write(json.dumps(seen))


def count_attempts(logged: Sequence[Mapping[str, object]]) -> int:
    return sum(entry["event"] in {"queue not writable", "queue not readable"} for entry in logged)


def limit_files(size_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


if __name__ == "__main__":
    asyncio.run(main())
