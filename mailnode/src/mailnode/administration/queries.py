"""Answer the control plane's questions about accounts, blocked addresses and the queue.

For: the agent, by the names of the contract (nodelink.contract.accounts).
Not for: anything that changes something (operations.py).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.errors import AccountsError
from mailnode.store.account_register import AccountOrder, AccountRegister, AccountSearch, HeldAccount
from mailnode.store.mail_store import StoreUnavailableError, UnknownAccountError
from nodelink.channel.connection import RefusedError
from nodelink.contract.accounts import (
    AccountAnswer,
    AccountEntry,
    AccountsAnswer,
    AccountsQuery,
    AccountTotals,
    AddressArgument,
    BlockedAddress,
    BlocklistAnswer,
    BlocklistQuery,
    ExportAnswer,
    ExportedAccount,
    ExportQuery,
    QueueAnswer,
    QueuedMail,
)

UNKNOWN = "There is no account of this address."

Answerer = Callable[[Mapping[str, JsonValue]], Awaitable[JsonValue]]
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Queries:
    """Everything that can be asked."""

    accounts: Accounts
    register: AccountRegister

    def by_name(self) -> dict[str, Answerer]:
        """List what can be asked, by its name in the contract."""
        return {
            "accounts": lambda arguments: self._answer(self.list_accounts(read(AccountsQuery, arguments))),
            "account": lambda arguments: self._answer(self.show_account(read(AddressArgument, arguments))),
            "account_totals": lambda _: self._answer(self.add_up()),
            "blocklist": lambda arguments: self._answer(self.list_blocked(read(BlocklistQuery, arguments))),
            "queue": lambda _: self._answer(self.show_queue()),
            "export_accounts": lambda arguments: self._answer(self.export(read(ExportQuery, arguments))),
        }

    async def list_accounts(self, query: AccountsQuery) -> AccountsAnswer:
        """List one page of accounts."""
        after = query.after
        wanted = AccountSearch(
            search=query.search.lower(),
            order=AccountOrder(query.sort.value),
            is_descending=query.is_descending,
            after=None if after is None else (after.value, after.address),
            is_after_included=after is not None and after.is_included,
            limit=query.limit,
        )
        held = await self.register.search_accounts(wanted)
        return AccountsAnswer(accounts=tuple(self._describe(each) for each in held))

    async def show_account(self, query: AddressArgument) -> AccountAnswer:
        """Show one account."""
        try:
            account = await self.accounts.find(query.address)
            usage = await self.register.read_usage(account.id)
        except (UnknownAccountError, AccountsError):
            return AccountAnswer(account=None)
        return AccountAnswer(account=self._describe(HeldAccount(account, usage)))

    async def add_up(self) -> AccountTotals:
        """Add all accounts up."""
        usage = await self.register.read_total_usage()
        return AccountTotals(
            accounts=await self.register.count_accounts(),
            size_bytes=usage.size_bytes,
            message_count=usage.message_count,
        )

    async def list_blocked(self, query: BlocklistQuery) -> BlocklistAnswer:
        """List one page of blocked addresses."""
        blocks = list(await self.register.list_blocks(query.after, query.limit))
        if query.is_after_included and (block := await self.register.find_block(query.after)) is not None:
            blocks = [block, *blocks][: query.limit]
        return BlocklistAnswer(
            blocked=tuple(
                BlockedAddress(
                    address=each.address, reason=each.reason, blocked_at_seconds=each.blocked_at_seconds
                )
                for each in blocks
            )
        )

    async def show_queue(self) -> QueueAnswer:
        """Show what waits for other nodes."""
        return QueueAnswer(
            queued=tuple(
                QueuedMail(
                    destination=each.destination,
                    messages=each.message_count,
                    size_bytes=each.size_bytes,
                    oldest_at_seconds=each.oldest_at_seconds,
                    attempts=each.attempts,
                )
                for each in await self.register.list_waiting_mail()
            )
        )

    async def export(self, query: ExportQuery) -> ExportAnswer:
        """Hand out one page of accounts with the hashes of their passwords."""
        accounts = await self.register.list_accounts(query.after, query.limit)
        make_portable = self.accounts.hasher.make_portable
        return ExportAnswer(
            accounts=tuple(
                ExportedAccount(address=each.address, password_hash=make_portable(each.password_hash))
                for each in accounts
            )
        )

    async def _answer(self, answer: Awaitable[BaseModel]) -> JsonValue:
        try:
            found: JsonValue = (await answer).model_dump(mode="json")
        except StoreUnavailableError as error:
            raise RefusedError(f"The store does not answer: {error}") from error
        return found

    def _describe(self, held: HeldAccount) -> AccountEntry:
        account = held.account
        return AccountEntry(
            address=account.address,
            size_bytes=held.usage.size_bytes,
            message_count=held.usage.message_count,
            quota_bytes=self.accounts.quota_of(account),
            has_own_quota=account.quota_bytes is not None,
            is_blocked=account.is_banned,
            created_at_seconds=account.created_at_seconds,
            last_login_at_seconds=account.last_login_at_seconds,
        )


def read(model: type[ModelT], arguments: Mapping[str, JsonValue]) -> ModelT:
    """Read arguments. Raises: RefusedError."""
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise RefusedError(f"The arguments are wrong: {where}: {problem['msg']}") from error
