"""What holds for the accounts of this node at this moment.

For: every part that asks "may this happen?"; it reads `PolicyHolder.current` each time, so that a
change is in force at once.
Not for: deciding the policy. The control plane does, or the node's own admin while that is away.
"""

from dataclasses import dataclass

DEFAULT_QUOTA_BYTES = 1 << 30
DEFAULT_MESSAGE_BYTES = 31_457_280


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules in force.

    registration_open: whether new accounts may be made at all.
    jit_enabled: whether an unknown login makes its account (only while registration is open).
    registration_token_required: whether whoever registers must have a token, which the control plane redeems.
    app_accounts_enabled: whether JIT also makes the accounts that apps add by themselves (app_form.py).
    backup_addresses: how many addresses on other nodes whoever has registered is offered.
    quota_bytes: how much an account may hold that has no quota of its own.
    message_bytes: the largest message that is taken.
    message_retention_days: after how many days messages go; 0 for never.
    unused_account_days: after how many days without a login an account goes; 0 for never.
    large_message_retention_days: after how many days large messages go that were read; 0 for never.
    auto_trim: whether a full mailbox lets old read messages go, rather than refuse new ones.
    """

    registration_open: bool = True
    jit_enabled: bool = True
    quota_bytes: int = DEFAULT_QUOTA_BYTES
    message_bytes: int = DEFAULT_MESSAGE_BYTES
    registration_token_required: bool = False
    message_retention_days: int = 0
    unused_account_days: int = 0
    large_message_retention_days: int = 0
    auto_trim: bool = True
    app_accounts_enabled: bool = True
    backup_addresses: int = 0

    @property
    def is_open_to_all(self) -> bool:
        """Tell whether anybody may register here."""
        return self.registration_open and not self.registration_token_required

    @property
    def is_jit_open(self) -> bool:
        """Tell whether an unknown login makes its account, if it is none that an app adds."""
        return self.registration_open and self.jit_enabled


@dataclass(slots=True)
class PolicyHolder:
    """The one place where the policy in force stands."""

    current: Policy
