"""What the control plane asks a mail node about its accounts, and has it do with them.

For: both sides. A query's arguments and answers travel in `frames.Query` and `frames.Answer`, an operation's
arguments in a signed document (operations.py).
Not for: what holds for all accounts of a node; that is its state (states.py).

    query            arguments         answer
    accounts         AccountsQuery     AccountsAnswer    one page, in the order that was asked for
    account          AddressArgument   AccountAnswer
    account_totals   -                 AccountTotals
    blocklist        BlocklistQuery    BlocklistAnswer
    queue            -                 QueueAnswer
    export_accounts  ExportQuery       ExportAnswer

    operation        arguments
    import_accounts  ImportAccounts    whatever the policy; an account that is there stays as it is
    remove_accounts  AddressList
    block_addresses  BlockAddresses    closes live sessions; nobody logs in as, or registers, the address
    unblock_addresses AddressList
    purge_mail       PurgeMail
    purge_queue      PurgeQueue
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_PAGE = 500
MAX_BATCH = 100
"""So many accounts in one operation: it is done in seconds, and progress is seen."""
MAX_REASON_CHARACTERS = 200
MAX_HASH_CHARACTERS = 512
LARGEST_NUMBER = 1 << 53

Address = Annotated[str, Field(min_length=3, max_length=320)]
Seconds = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]
Count = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]


class Part(BaseModel):
    """Anything that is asked, answered or done."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AccountSort(StrEnum):
    """In what order accounts are listed; among equals, by address."""

    ADDRESS = "address"
    SIZE = "size"
    LAST_LOGIN = "last_login"


class AccountsAfter(Part):
    """Behind which account a page begins. `value` is its size or last login, 0 when sorted by address."""

    value: Count
    address: str = Field(max_length=320)
    is_included: bool = Field(description="Whether an account of just this place is on the page.")


class AccountsQuery(Part):
    """Which accounts are asked for."""

    search: str = Field(default="", max_length=320, description="What the address contains.")
    sort: AccountSort = AccountSort.ADDRESS
    is_descending: bool = False
    after: AccountsAfter | None = None
    limit: int = Field(ge=1, le=MAX_PAGE)


class AccountEntry(Part):
    """An account. `last_login_at_seconds` is exact to a day, `None` before the first one."""

    address: Address
    size_bytes: Count
    message_count: Count
    quota_bytes: Count
    has_own_quota: bool
    is_blocked: bool
    created_at_seconds: Seconds
    last_login_at_seconds: Seconds | None


class AccountsAnswer(Part):
    """One page of accounts."""

    accounts: tuple[AccountEntry, ...] = Field(max_length=MAX_PAGE)


class AccountAnswer(Part):
    """One account; `None` where there is none of this address."""

    account: AccountEntry | None


class AccountTotals(Part):
    """All accounts of a node together."""

    accounts: Count
    size_bytes: Count
    message_count: Count


class AddressArgument(Part):
    """One account."""

    address: Address


class AddressList(Part):
    """Some accounts."""

    addresses: tuple[Address, ...] = Field(min_length=1, max_length=MAX_BATCH)


class BlocklistQuery(Part):
    """Which page of the blocklist is asked for; it is in the order of addresses."""

    after: str = Field(default="", max_length=320)
    is_after_included: bool = False
    limit: int = Field(ge=1, le=MAX_PAGE)


class BlockedAddress(Part):
    """An address that nobody may use."""

    address: Address
    reason: str = Field(max_length=MAX_REASON_CHARACTERS)
    blocked_at_seconds: Seconds


class BlocklistAnswer(Part):
    """One page of the blocklist."""

    blocked: tuple[BlockedAddress, ...] = Field(max_length=MAX_PAGE)


class BlockAddresses(AddressList):
    """Addresses that nobody may use from now on."""

    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS)


class QueuedMail(Part):
    """What waits for one domain. `attempts` is how often the most tried message was tried."""

    destination: str = Field(max_length=255)
    messages: Count
    size_bytes: Count
    oldest_at_seconds: Seconds
    attempts: Count


class QueueAnswer(Part):
    """What waits for other nodes."""

    queued: tuple[QueuedMail, ...] = Field(max_length=10_000)


class ExportQuery(Part):
    """Which page of an export is asked for."""

    after: str = Field(default="", max_length=320)
    limit: int = Field(ge=1, le=MAX_PAGE)


class ExportedAccount(Part):
    """An account as another fleet can import it."""

    address: Address
    password_hash: str = Field(max_length=MAX_HASH_CHARACTERS, repr=False)


class ExportAnswer(Part):
    """One page of an export."""

    accounts: tuple[ExportedAccount, ...] = Field(max_length=MAX_PAGE)


class ImportedAccount(Part):
    """An account that is to be made, by its password or by a hash of it."""

    address: Address
    password: str | None = Field(default=None, max_length=1024, repr=False)
    password_hash: str | None = Field(default=None, min_length=1, max_length=MAX_HASH_CHARACTERS, repr=False)

    @model_validator(mode="after")
    def _one_of_both(self) -> "ImportedAccount":
        if (self.password is None) == (self.password_hash is None):
            raise ValueError("an account has either a password or a hash of it")
        return self


class ImportAccounts(Part):
    """Accounts that are to be made."""

    accounts: tuple[ImportedAccount, ...] = Field(min_length=1, max_length=MAX_BATCH)


class PurgeWhat(StrEnum):
    """Which messages go."""

    ALL = "all"
    READ = "read"
    OLDER = "older"


class PurgeMail(Part):
    """Messages that are to go, of one account or, with `None`, of all."""

    address: Address | None
    what: PurgeWhat
    before_seconds: Seconds | None = Field(
        default=None, description="Which messages are old: those that came before."
    )

    @model_validator(mode="after")
    def _age_is_said(self) -> "PurgeMail":
        if (self.what is PurgeWhat.OLDER) != (self.before_seconds is not None):
            raise ValueError("`before_seconds` is for `older`, and needed there")
        return self


class PurgeQueue(Part):
    """What waits for a domain and is to go, or with `None` for every domain."""

    destination: str | None = Field(max_length=255)
