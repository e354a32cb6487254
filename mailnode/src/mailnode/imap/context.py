"""What all sessions of a server share, and what may be asked of the world around them.

Not for: the state of one session (session.py).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mailnode.accounts.accounts import Accounts
from mailnode.imap.recent import RecentMarks
from mailnode.store.mail_store import Account, AccountId, MailStore


class SharedMetadata(Protocol):
    """Knows what the node tells its users by METADATA entries below `/shared`."""

    def read(self, account: Account) -> Mapping[str, str]:
        """Read all entries; names are in lower case."""


AppendGate = Callable[[bytes], None]
"""Raises `AppendRefusedError` for a message that may not be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapContext:
    """The parts that commands work with; `sessions` are those that are logged in."""

    accounts: Accounts
    store: MailStore
    metadata: SharedMetadata
    append_gate: AppendGate
    hostname: str
    clock_seconds: Callable[[], float]
    sessions_per_account: int
    recent: RecentMarks = field(default_factory=RecentMarks)
    sessions: Counter[AccountId] = field(default_factory=Counter)
