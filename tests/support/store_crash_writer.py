"""A program that fills a store until it is killed, and says on its standard output what was acknowledged.

    python -m support.store_crash_writer DIRECTORY ROUND

A line is written after the store has returned: `account NAME`, `added TOKEN`, `removed TOKEN`.
"""

import asyncio
import os
import random
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from mailnode.store.mail_store import NO_FLAGS, AccountExistsError, MailStore, Recipient
from mailnode.store.sqlite_store import SqliteMailStore
from support.store_mail import NOW, PLENTY, find_inbox

SENDERS = 16
LARGE_BYTES = 300_000


async def main() -> None:
    directory, round_ = Path(sys.argv[1]), sys.argv[2]
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(directory)
        await store.start(stack)
        async with asyncio.TaskGroup() as group:
            for sender in range(SENDERS):
                group.create_task(send(store, f"r{round_}s{sender}"))


async def send(store: MailStore, name: str) -> None:
    account = await store.add_account(f"{name}@example.org", "hash", NOW)
    say("account", name)
    inbox = await find_inbox(store, account.id)
    number = 0
    while True:
        number += 1
        token = f"{name}n{number}"
        fill = b"." * (LARGE_BYTES if random.random() < 0.05 else random.randrange(9_000))
        body = f"Subject: {token}\r\n\r\n".encode() + fill
        if number % 3 == 0:
            await store.append(inbox.id, PLENTY, body, NO_FLAGS, NOW)
        else:
            await store.deliver([Recipient(account.id, PLENTY)], body, NOW)
        say("added", token)
        if number % 4 == 0:
            messages = (await store.read_contents(inbox.id)).messages
            victim = random.choice(messages)
            header = await store.read_header(victim.body_id)
            assert header is not None
            await store.expunge(inbox.id, [victim.uid])
            say("removed", header.decode().split()[1])
        if number == 2:
            with_twin = await store.find_account(account.address)
            assert with_twin == account
            try:
                await store.add_account(account.address, "hash", NOW)
            except AccountExistsError:
                continue


def say(what: str, token: str) -> None:
    os.write(1, f"{what} {token}\n".encode())


if __name__ == "__main__":
    asyncio.run(main())
