"""The part of the store in memory that makes it an `AccountRegister`."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from mailnode.store.account_register import AccountOrder, AccountSearch, Block, HeldAccount, WaitingMail
from mailnode.store.mail_store import Account, Usage
from support.store_memory_boxes import MemoryBoxes


class MemoryRegister(MemoryBoxes):
    """Lists, blocks and sums."""

    async def search_accounts(self, wanted: AccountSearch) -> Sequence[HeldAccount]:
        self._check()

        def place(held: HeldAccount) -> tuple[int, str]:
            match wanted.order:
                case AccountOrder.ADDRESS:
                    return 0, held.account.address
                case AccountOrder.SIZE:
                    return held.usage.size_bytes, held.account.address
                case AccountOrder.LAST_LOGIN:
                    return held.account.last_login_at_seconds or 0, held.account.address

        found = [HeldAccount(each, self._usage(each.id)) for each in self._accounts.values()]
        found = [held for held in found if wanted.search in held.account.address]
        found.sort(key=place, reverse=wanted.is_descending)
        if (after := wanted.after) is not None:
            found = [
                held
                for held in found
                if (place(held) < after if wanted.is_descending else place(held) > after)
                or (wanted.is_after_included and place(held) == after)
            ]
        return found[: wanted.limit]

    async def read_total_usage(self) -> Usage:
        self._check()
        usages = [self._usage(id_) for id_ in self._accounts]
        return Usage(sum(each.size_bytes for each in usages), sum(each.message_count for each in usages))

    async def add_block(self, address: str, reason: str, now_seconds: int) -> Account | None:
        self._check()
        known = self._blocks.get(address)
        self._blocks[address] = Block(
            address, reason, known.blocked_at_seconds if known is not None else now_seconds
        )
        return await self._change_ban(address, is_banned=True)

    async def remove_block(self, address: str) -> None:
        self._check()
        self._blocks.pop(address, None)
        await self._change_ban(address, is_banned=False)

    async def find_block(self, address: str) -> Block | None:
        self._check()
        return self._blocks.get(address)

    async def list_blocks(self, after_address: str, limit: int) -> Sequence[Block]:
        self._check()
        return [self._blocks[address] for address in sorted(self._blocks) if address > after_address][:limit]

    async def list_waiting_mail(self) -> Sequence[WaitingMail]:
        self._check()
        rows = sorted(self._outgoing.values(), key=lambda row: row.envelope.destination)
        return [
            WaitingMail(
                destination,
                len(waiting),
                sum(row.size_bytes for row in waiting),
                min(row.queued_at_seconds for row in waiting),
                max(row.attempt_count for row in waiting),
            )
            for destination, group in groupby(rows, key=lambda row: row.envelope.destination)
            for waiting in [list(group)]
        ]

    async def _change_ban(self, address: str, *, is_banned: bool) -> Account | None:
        for account in self._accounts.values():
            if account.address == address:
                return await self._replace(replace(account, is_banned=is_banned))
        await self._settle()
        return None
