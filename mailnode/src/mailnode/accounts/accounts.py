"""Who may log in, and how accounts come and go.

For: SMTP, IMAP and HTTP, which hand in what the client said; for the local admin and for
the control plane's operations.
Not for: protocol replies, or where accounts are kept (store).

    log_in ─▶ too many failures from there? ─▶ known? ─▶ verified before? ─▶ argon2id ─▶ Account
                                                 └─▶ new, and creation allowed? ─▶ created, durable ─▶ Account
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import InitVar, dataclass, field
from weakref import WeakValueDictionary

import structlog

from mailnode.accounts.address import check_new_name, normalise_address
from mailnode.accounts.app_form import is_added_by_app
from mailnode.accounts.brake import Brake
from mailnode.accounts.errors import (
    BadAddressError,
    LoginRefusedError,
    LoginUnavailableError,
    RegistrationClosedError,
)
from mailnode.accounts.password import (
    PasswordHasher,
    check_hash,
    check_new_password,
    invent_credentials,
    is_judgeable,
)
from mailnode.accounts.policy import PolicyHolder
from mailnode.accounts.rate_limit import RateLimit, RateLimiter, find_network, find_prefix
from mailnode.accounts.sessions import Sessions
from mailnode.accounts.verified import VerifiedCredentials
from mailnode.store.account_register import AccountRegister
from mailnode.store.mail_store import (
    Account,
    AccountExistsError,
    AccountId,
    Recipient,
    StoreUnavailableError,
    UnknownAccountError,
)

DEFAULT_CREATION_LIMIT = RateLimit(per_minute=60, burst=300)
DEFAULT_FAILURE_LIMIT = RateLimit(per_minute=30, burst=60)

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(kw_only=True)
class Accounts:
    """The accounts of this node.

    A limit holds for each network prefix that clients come from, that of creation for a /24 or /56;
    `None` means none. `brake` says when there is no room for new accounts. Failures are counted
    when they are known, so a flood of parallel guesses may exceed their limit once, and pays it off after.
    """

    store: AccountRegister
    policy: PolicyHolder
    domain: str
    clock_seconds: Callable[[], float] = time.time
    hasher: PasswordHasher = field(default_factory=PasswordHasher)
    brake: Brake | None = None
    creation_limit: InitVar[RateLimit | None] = DEFAULT_CREATION_LIMIT
    failure_limit: InitVar[RateLimit | None] = DEFAULT_FAILURE_LIMIT
    made_count: int = field(init=False, default=0)
    _verified: VerifiedCredentials = field(init=False, default_factory=VerifiedCredentials)
    _sessions: Sessions = field(init=False, default_factory=Sessions)
    _creating: WeakValueDictionary[str, asyncio.Lock] = field(init=False, default_factory=WeakValueDictionary)

    def __post_init__(self, creation_limit: RateLimit | None, failure_limit: RateLimit | None) -> None:
        """Begin with nothing counted."""
        self._creations = RateLimiter(creation_limit)
        self._failures = RateLimiter(failure_limit)

    async def start(self, stack: AsyncExitStack) -> None:
        """End the hashing threads when `stack` unwinds."""
        await self.hasher.start(stack)

    async def log_in(self, login: str, password: str, client_address: str) -> Account:
        """Find the account of these credentials, or create it.

        A created account is durable when this returns. Parallel logins of one new account make one account.

        Raises:
            LoginRefusedError: Wrong, banned, or unknown and not to be created.
            LoginUnavailableError: Overload, a rate limit or store trouble: the password may be right.
        """
        prefix = find_prefix(client_address)
        if not self._failures.may(prefix):
            raise LoginUnavailableError("Too many failed logins from your network. Try again later.")
        try:
            account = await self._log_in(login, password, client_address)
        except (LoginRefusedError, BadAddressError) as refusal:
            self._failures.spend(prefix)
            raise LoginRefusedError("Wrong address or password.") from refusal
        except StoreUnavailableError as trouble:
            raise LoginUnavailableError("The server cannot do this now. Try again later.") from trouble
        self.store.record_login(account.id, int(self.clock_seconds()))
        return account

    async def register(self, client_address: str) -> tuple[str, str]:
        """Create an account with an invented address and password, durable when this returns.

        Returns:
            (address, password); the password is nowhere else.

        Raises:
            RegistrationClosedError: This node takes no new accounts.
            LoginUnavailableError: Overload, a rate limit or store trouble.
        """
        self._check_registration(self.policy.current.is_open_to_all)
        self._spend_creation(client_address)
        name, password = invent_credentials()
        address = f"{name}@{self.domain}"
        try:
            account = await self._add(address, password)
        except (AccountExistsError, StoreUnavailableError) as trouble:
            raise LoginUnavailableError("The server cannot do this now. Try again later.") from trouble
        self._verified.remember(account, password)
        return address, password

    def admit_creation(self, client_address: str) -> None:
        """Count an account that the control plane is to make here for a client who has a token.

        Raises:
            RegistrationClosedError: This node takes no new accounts.
            LoginUnavailableError: Overload, or a rate limit.
        """
        self._check_registration(self.policy.current.registration_open)
        self._spend_creation(client_address)

    async def find_recipient(self, address: str) -> Account | None:
        """Find whom mail is for; `None` when that is nobody here, or somebody who is banned."""
        try:
            account = await self.store.find_account(normalise_address(address, self.domain))
        except BadAddressError:
            return None
        return None if account is None or account.is_banned else account

    def quota_of(self, account: Account) -> int:
        """Tell how many bytes an account may hold at this moment."""
        return self.policy.current.quota_bytes if account.quota_bytes is None else account.quota_bytes

    def as_recipient(self, account: Account, *, is_sender: bool = False) -> Recipient:
        """Say how an account is delivered to at this moment."""
        return Recipient(
            account.id, self.quota_of(account), is_sender, is_trimmed=self.policy.current.auto_trim
        )

    async def has_room(self, account: Account, more_bytes: int) -> bool:
        """Tell whether so much more finds room now. Raises: StoreUnavailableError, UnknownAccountError."""
        room_bytes = self.quota_of(account) - (await self.store.read_usage(account.id)).size_bytes
        if room_bytes < more_bytes <= self.quota_of(account) and self.policy.current.auto_trim:
            room_bytes += await self.store.read_trimmable(account.id, int(self.clock_seconds()))
        return more_bytes <= room_bytes

    def watch_sessions(self, account_id: AccountId, end: Callable[[], None]) -> Callable[[], None]:
        """Call `end` when the account is banned, removed or gets another password; returns what undoes that.

        Call it without an `await` after `log_in` has returned, or a ban in between goes unheard.
        """
        return self._sessions.watch(account_id, end)

    def count_sessions(self) -> int:
        """Count the open sessions of all accounts."""
        return self._sessions.count()

    async def create(self, address: str, password: str) -> Account:
        """Create an account for the operator: whatever the policy, without rate limit.

        Raises:
            BadAddressError: The address is not admissible or blocked, or the password is not admissible.
            AccountExistsError: There is one already.
            LoginUnavailableError: Too many passwords wait for being hashed.
        """
        check_new_password(password)
        return await self._create(address, await self.hasher.hash(password))

    async def create_with_hash(self, address: str, password_hash: str) -> Account:
        """Create an account for the operator, by a hash that another server has made of its password.

        Raises:
            BadAddressError: The address is not admissible or blocked, or no login could verify the hash.
            AccountExistsError: There is one already.
        """
        check_hash(password_hash)
        return await self._create(address, password_hash)

    async def find(self, address: str) -> Account:
        """Find an account, banned or not. Raises: BadAddressError, UnknownAccountError."""
        account = await self.store.find_account(normalise_address(address, self.domain))
        if account is None:
            raise UnknownAccountError
        return account

    async def change_password(self, address: str, password: str) -> None:
        """Give an account another password and end its sessions. Raises: as `find`, LoginUnavailableError."""
        check_new_password(password)
        account = await self.find(address)
        await self.store.change_password(account.id, await self.hasher.hash(password))
        self._shut_out(account.id)

    async def change_ban(self, address: str, *, is_banned: bool) -> None:
        """Ban an account and end its sessions, or allow it again. Raises: as `find`."""
        account = await self.find(address)
        if is_banned:
            await self.block(account.address, "")
        else:
            await self.unblock(account.address)

    async def block(self, address: str, reason: str) -> None:
        """Let nobody use an address: its account is banned and its sessions end, and no new one is made.

        Raises:
            BadAddressError: It is no address of this node.
        """
        address = normalise_address(address, self.domain)
        account = await self.store.add_block(address, reason, int(self.clock_seconds()))
        if account is not None:
            self._shut_out(account.id)

    async def unblock(self, address: str) -> None:
        """Let an address be used again. Raises: BadAddressError."""
        await self.store.remove_block(normalise_address(address, self.domain))

    def has_sessions(self, account_id: AccountId) -> bool:
        """Tell whether somebody is logged in."""
        return self._sessions.has(account_id)

    async def change_quota(self, address: str, quota_bytes: int | None) -> None:
        """Give an account its own quota, or the default one with `None`. Raises: as `find`."""
        account = await self.find(address)
        await self.store.change_quota(account.id, quota_bytes)

    async def remove(self, address: str) -> None:
        """Remove an account with its mail and end its sessions. Raises: as `find`."""
        account = await self.find(address)
        await self.store.remove_account(account.id)
        self._shut_out(account.id)

    async def _log_in(self, login: str, password: str, client_address: str) -> Account:
        address = normalise_address(login, self.domain)
        if not is_judgeable(password):
            raise LoginRefusedError("no account has such a password")
        account = await self.store.find_account(address)
        if account is None:
            account = await self._create_once(address, password, client_address)
        if not account.is_banned and self._verified.is_known(account, password):
            return account
        is_right = await self.hasher.verify(account.password_hash, password)
        current = await self.store.find_account(address)
        if not is_right or current is None or current.is_banned:
            raise LoginRefusedError("wrong password, banned, or removed meanwhile")
        if (current.id, current.password_hash) != (account.id, account.password_hash):
            raise LoginRefusedError("the password was changed while it was verified")
        if self.hasher.should_renew(current.password_hash, password):
            current = await self._renew_hash(current, password)
        self._verified.remember(current, password)
        return current

    async def _renew_hash(self, account: Account, password: str) -> Account:
        """Put a hash as this node makes them in place of a former one, or of another server's."""
        try:
            return await self.store.change_password(account.id, await self.hasher.hash(password))
        except UnknownAccountError as error:
            raise LoginRefusedError("removed meanwhile") from error

    async def _create_once(self, address: str, password: str, client_address: str) -> Account:
        """Create an account, or find the one that a parallel login has just created."""
        lock = self._creating.get(address)
        is_first = lock is None  # then the account was just looked for, and nobody else can have made it
        if lock is None:
            lock = self._creating[address] = asyncio.Lock()
        async with lock:
            account = None if is_first else await self.store.find_account(address)
            if account is not None:
                return account
            try:
                check_new_name(address)
                check_new_password(password)
                self._check_registration(self._jit_is_open_for(address, password))
                if await self.store.find_block(address) is not None:
                    raise BadAddressError("This address is blocked.")  # noqa: TRY301 - as the checks above do
            except (BadAddressError, RegistrationClosedError) as refusal:
                await self.hasher.waste(password)
                raise LoginRefusedError("unknown, and not to be created") from refusal
            self._spend_creation(client_address)
            try:
                account = await self._add(address, password)
            except RegistrationClosedError as refusal:
                raise LoginRefusedError("registration was closed meanwhile") from refusal
            except AccountExistsError as race:  # not a login, for those wait above: the operator made it
                raise LoginUnavailableError("The account is being created. Try again.") from race
            self._verified.remember(account, password)
            return account

    async def _create(self, address: str, password_hash: str) -> Account:
        address = normalise_address(address, self.domain)
        check_new_name(address)
        if await self.store.find_block(address) is not None:
            raise BadAddressError("This address is blocked. Unblock it first.")
        account = await self.store.add_account(address, password_hash, int(self.clock_seconds()))
        self.made_count += 1
        return account

    async def _add(self, address: str, password: str) -> Account:
        password_hash = await self.hasher.hash(password)
        self._check_registration(self.policy.current.registration_open)
        account = await self.store.add_account(address, password_hash, int(self.clock_seconds()))
        self.made_count += 1
        log.debug("account created")
        return account

    def _jit_is_open_for(self, address: str, password: str) -> bool:
        policy = self.policy.current
        return policy.is_jit_open and (policy.app_accounts_enabled or not is_added_by_app(address, password))

    def _check_registration(self, is_open: bool) -> None:  # noqa: FBT001 - the name says it
        if not is_open:
            raise RegistrationClosedError("This server takes no new accounts at present.")

    def _spend_creation(self, client_address: str) -> None:
        if self.brake is not None and self.brake.shortage is not None:
            raise LoginUnavailableError("This server has no room for new accounts now. Try again later.")
        if not self._creations.try_spend(find_network(client_address)):
            raise LoginUnavailableError("Too many new accounts from your network. Try again later.")

    def _shut_out(self, account_id: AccountId) -> None:
        self._verified.forget(account_id)
        self._sessions.end_all(account_id)
