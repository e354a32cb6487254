"""What a store of mail promises beside, for those who administer a node: lists, blocked addresses, sums.

For: the control plane's queries and operations (administration), and the check whether an address is blocked.
Not for: what protocols of users need (mail_store.py), or SQL (sqlite_register.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mailnode.store.mail_store import Account, MailStore, Usage


class AccountOrder(StrEnum):
    """By what accounts are listed; among equals, by address."""

    ADDRESS = "address"
    SIZE = "size"
    LAST_LOGIN = "last_login"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSearch:
    """Which accounts are looked for.

    `search` is a part of the address, in small letters. `after` is the value by which accounts are ordered
    (0 for the order of addresses, and for who never logged in) and the address behind which the list begins;
    `is_after_included` lets it begin just there.
    """

    search: str = ""
    order: AccountOrder = AccountOrder.ADDRESS
    is_descending: bool = False
    after: tuple[int, str] | None = None
    is_after_included: bool = False
    limit: int


@dataclass(frozen=True, slots=True)
class HeldAccount:
    """An account and what it holds."""

    account: Account
    usage: Usage


@dataclass(frozen=True, slots=True)
class Block:
    """An address that nobody may use, whether or not there is an account of it."""

    address: str
    reason: str
    blocked_at_seconds: int


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """What waits for one domain; `attempts` is of the message that was tried most often."""

    destination: str
    message_count: int
    size_bytes: int
    oldest_at_seconds: int
    attempts: int


class AccountRegister(MailStore, Protocol):
    """A store of mail that can be administered."""

    async def search_accounts(self, wanted: AccountSearch) -> Sequence[HeldAccount]:
        """List accounts with what they hold."""

    async def read_total_usage(self) -> Usage:
        """Tell what all accounts hold together."""

    async def add_block(self, address: str, reason: str, now_seconds: int) -> Account | None:
        """Block an address; the account of it, if there is one, is banned and returned.

        One that is blocked already gets the new reason and keeps its time.
        """

    async def remove_block(self, address: str) -> None:
        """Let an address be used again; the account of it, if there is one, is not banned any more."""

    async def find_block(self, address: str) -> Block | None:
        """Look a blocked address up; `None` where it is not blocked."""

    async def list_blocks(self, after_address: str, limit: int) -> Sequence[Block]:
        """List blocked addresses in their order, from the one behind `after_address`."""

    async def list_waiting_mail(self) -> Sequence[WaitingMail]:
        """List what waits for other nodes, by domain."""
