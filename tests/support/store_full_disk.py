"""A program whose files may not grow for a while, as on a full disk; it tells what the store did, as JSON.

    python -m support.store_full_disk DIRECTORY

It is a program of its own because the limit holds for a whole process.
"""

import asyncio
import json
import resource
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from mailnode.store.mail_store import Account, MailStore, StoreUnavailableError
from mailnode.store.sqlite_store import SqliteMailStore
from support.store_mail import add_account, deliver, make_body

LARGE_BYTES = 300_000


async def main() -> None:
    directory = Path(sys.argv[1])
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(directory)
        await store.start(stack)
        account, inbox = await add_account(store)
        await deliver(store, account)
        limit_files((directory / "mail.sqlite3-wal").stat().st_size + 30_000)
        small = await try_many(store, account, 2_000)
        large = await try_many(store, account, LARGE_BYTES)
        limit_files(resource.RLIM_INFINITY)
        after = await try_many(store, account, 2_000) + await try_many(store, account, LARGE_BYTES)
        messages = (await store.read_contents(inbox.id)).messages
        bodies = [await store.read_body(message.body_id) for message in messages]
        usage = await store.read_usage(account.id)
        report = {
            "small": small.count(True),
            "small_refused": small.count(False),
            "large": large.count(True),
            "after_refused": after.count(False),
            "expected": 1 + (small + large + after).count(True),
            "stored": len(messages),
            "readable": sum(body is not None for body in bodies),
            "size_bytes": sum(message.size_bytes for message in messages),
            "used_bytes": usage.size_bytes,
            "files": len(list((directory / "bodies").iterdir())),
            "large_stored": sum(message.size_bytes == LARGE_BYTES for message in messages),
        }
    sys.stdout.write(json.dumps(report))


async def try_many(store: MailStore, account: Account, size_bytes: int) -> list[bool]:
    """Deliver 20 messages at once and 20 one by one; tell which of them were stored."""
    body = make_body(size_bytes)
    at_once = await asyncio.gather(*(try_one(store, account, body) for _ in range(20)))
    return [*at_once, *[await try_one(store, account, body) for _ in range(20)]]


async def try_one(store: MailStore, account: Account, body: bytes) -> bool:
    try:
        return not await deliver(store, account, body=body)
    except StoreUnavailableError:
        return False


def limit_files(size_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


if __name__ == "__main__":
    asyncio.run(main())
