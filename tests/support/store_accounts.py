"""`Accounts` with fast hashes, for tests of whatever lets somebody log in."""

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.accounts.rate_limit import RateLimit
from mailnode.store.account_register import AccountRegister

DOMAIN = "example.org"
PASSWORD = "correct horse"
CLIENT = "192.0.2.7"
NOW = 1_700_000_000


def fast_hasher(*, max_waiting: int = 256, threads: int = 2) -> PasswordHasher:
    """Hash as the product does, with the least work that argon2id allows."""
    return PasswordHasher(memory_kib=8, time_cost=1, threads=threads, max_waiting=max_waiting)


def make_accounts(
    store: AccountRegister,
    *,
    policy: Policy | None = None,
    hasher: PasswordHasher | None = None,
    creation_limit: RateLimit | None = None,
    failure_limit: RateLimit | None = None,
) -> Accounts:
    return Accounts(
        store=store,
        policy=PolicyHolder(policy or Policy()),
        domain=DOMAIN,
        clock_seconds=lambda: NOW,
        hasher=hasher or fast_hasher(),
        creation_limit=creation_limit,
        failure_limit=failure_limit,
    )
