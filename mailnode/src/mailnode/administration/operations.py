"""Carry out what the control plane has decided about accounts and mail.

For: the agent, by the names of the contract (nodelink.contract.accounts). Whatever is asked for may have been
done before, wholly or in part: then it is done again or found done, never a problem.
Not for: questions (queries.py), or what each node does by itself (retention.py).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.errors import AccountsError, BadAddressError
from mailnode.administration.purge import Purge
from mailnode.administration.queries import UNKNOWN, read
from mailnode.federation.outbound import Outbound
from mailnode.store.mail_store import AccountExistsError, UnknownAccountError
from nodelink.channel.connection import RefusedError
from nodelink.contract.accounts import (
    AddressList,
    BlockAddresses,
    ImportAccounts,
    ImportedAccount,
    PurgeMail,
    PurgeQueue,
)

SHOWN_PROBLEMS = 5
MAX_PROBLEM_CHARACTERS = 900

Executor = Callable[[Mapping[str, JsonValue]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Operations:
    """Everything that can be done. `find_outbound` finds the way out, `None` before the node is enrolled."""

    accounts: Accounts
    purge: Purge
    find_outbound: Callable[[], Outbound | None]

    def by_name(self) -> dict[str, Executor]:
        """List what can be done, by its name in the contract."""
        return {
            "import_accounts": lambda arguments: self.import_accounts(read(ImportAccounts, arguments)),
            "remove_accounts": lambda arguments: self.remove_accounts(read(AddressList, arguments)),
            "block_addresses": lambda arguments: self.block(read(BlockAddresses, arguments)),
            "unblock_addresses": lambda arguments: self.unblock(read(AddressList, arguments)),
            "purge_mail": lambda arguments: self.purge_mail(read(PurgeMail, arguments)),
            "purge_queue": lambda arguments: self.purge_queue(read(PurgeQueue, arguments)),
        }

    async def import_accounts(self, order: ImportAccounts) -> None:
        """Make accounts, whatever the policy. Raises: RefusedError, which names those that were not made."""
        problems = [
            f"{each.address}: {problem}" for each in order.accounts if (problem := await self._import(each))
        ]
        _tell(problems, len(order.accounts))

    async def remove_accounts(self, order: AddressList) -> None:
        """Remove accounts with their mail; one that is gone already is no problem. Raises: RefusedError."""
        await self._each(order.addresses, self._remove)

    async def block(self, order: BlockAddresses) -> None:
        """Block addresses; live sessions of their accounts end. Raises: RefusedError."""
        await self._each(order.addresses, lambda address: self.accounts.block(address, order.reason))

    async def unblock(self, order: AddressList) -> None:
        """Let addresses be used again. Raises: RefusedError."""
        await self._each(order.addresses, self.accounts.unblock)

    async def purge_mail(self, order: PurgeMail) -> None:
        """Let messages go, of one account or of all. Raises: RefusedError."""
        try:
            await self.purge.purge(order)
        except UnknownAccountError as error:
            raise RefusedError(UNKNOWN) from error
        except BadAddressError as error:
            raise RefusedError(str(error)) from error

    async def purge_queue(self, order: PurgeQueue) -> None:
        """Let go what waits for other nodes; senders are not told."""
        outbound = self.find_outbound()
        if outbound is not None:
            await outbound.purge(order.destination)

    async def _import(self, account: ImportedAccount) -> str | None:
        """Make an account; return why that cannot be."""
        accounts = self.accounts
        try:
            if account.password is not None:
                await accounts.create(account.address, account.password)
            else:
                await accounts.create_with_hash(account.address, account.password_hash or "")
        except AccountExistsError:
            return None if await self._is_made(account) else "There is an account of this address already."
        except AccountsError as error:
            return str(error)
        return None

    async def _is_made(self, account: ImportedAccount) -> bool:
        """Tell whether an account is there as it was to be made, as when this was done before."""
        found = await self.accounts.find(account.address)
        if account.password is None:
            return account.password_hash in (
                found.password_hash,
                self.accounts.hasher.make_portable(found.password_hash),
            )
        return await self.accounts.hasher.verify(found.password_hash, account.password)

    async def _remove(self, address: str) -> None:
        try:
            await self.accounts.remove(address)
        except UnknownAccountError:
            return

    async def _each(self, addresses: tuple[str, ...], act: Callable[[str], Awaitable[None]]) -> None:
        problems = []
        for address in addresses:
            try:
                await act(address)
            except BadAddressError as error:
                problems.append(f"{address}: {error}")
        _tell(problems, len(addresses))


def _tell(problems: list[str], count: int) -> None:
    """Say which of several could not be done. Raises: RefusedError, if there are any."""
    if not problems:
        return
    if count == 1:
        raise RefusedError(problems[0].partition(": ")[2])
    text = f"{len(problems)} of {count} failed. " + " ".join(problems[:SHOWN_PROBLEMS])
    raise RefusedError(text[:MAX_PROBLEM_CHARACTERS])
