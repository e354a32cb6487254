"""Passwords: what is admissible, and hashing them without holding up the event loop.

For: accounts.py.
Not for: deciding who may log in, or remembering what was verified (verified.py).

    22 to 24 letters and digits, as programs invent them ─▶ keyed_hash, at once
    any other                                            ─▶ argon2id, in a thread

argon2id runs in a few threads of its own; it gives up the interpreter's lock meanwhile. Only so many
passwords may wait for a thread: who comes later is told to try again, which is cheaper for everybody. How
long a login takes tells the form of the password that was tried, not whether there is such an account.
"""

import asyncio
import secrets
import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TypeVar

import argon2
import structlog

from mailnode.accounts.errors import BadAddressError, LoginUnavailableError, PepperError
from mailnode.accounts.foreign_hash import is_foreign, verify_foreign
from mailnode.accounts.keyed_hash import KeyedHash, is_generated, is_keyed

MIN_PASSWORD_LENGTH = 9
MAX_PASSWORD_LENGTH = 1024
DEFAULT_MEMORY_KIB = 19 * 1024
DEFAULT_TIME_COST = 2
MAX_MEMORY_KIB = 256 * 1024
MAX_TIME_COST = 16
"""Beyond them, a hash from elsewhere is refused: a few logins would take all memory and time."""
DEFAULT_THREADS = 2
DEFAULT_MAX_WAITING = 256

INVENTED_NAME_LENGTH = 9
INVENTED_PASSWORD_LENGTH = 22
"""Letters and digits; 22 of them are worth 130 bits."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()
T = TypeVar("T")


class PasswordHasher:
    """A few threads that hash and verify. `max_waiting` passwords may wait beside those being worked on.

    Without a `pepper` every password is hashed with argon2id.
    """

    def __init__(
        self,
        *,
        pepper: bytes | None = None,
        memory_kib: int = DEFAULT_MEMORY_KIB,
        time_cost: int = DEFAULT_TIME_COST,
        threads: int = DEFAULT_THREADS,
        max_waiting: int = DEFAULT_MAX_WAITING,
    ) -> None:
        self._argon2 = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._keyed = None if pepper is None else KeyedHash(pepper)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._room = threads + max_waiting
        self._decoy = ""

    async def start(self, stack: AsyncExitStack) -> None:
        """End the threads when `stack` unwinds."""
        stack.callback(self._executor.shutdown, wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Hash a password with a fresh salt. Raises: LoginUnavailableError."""
        if self._keyed is not None and is_generated(password):
            return self._keyed.hash(password)
        return await self._run(lambda: self._argon2.hash(password))

    async def verify(self, password_hash: str, password: str) -> bool:
        """Tell whether a password belongs to a hash. Raises: LoginUnavailableError."""
        if not is_keyed(password_hash):
            return await self._run(lambda: self._verify(password_hash, password))
        if not is_generated(password):  # so it is wrong; but who asks must not learn what this account has
            await self.waste(password)
            return False
        try:
            return self._keyed is not None and self._keyed.verify(password_hash, password)
        except PepperError as error:
            log.error("password cannot be verified", problem=str(error))  # noqa: TRY400 - the text says it all
            return False

    def should_renew(self, password_hash: str, password: str) -> bool:
        """Tell whether a password that was just verified is to be hashed anew, as this node hashes it."""
        if is_foreign(password_hash):
            return True
        return self._keyed is not None and is_generated(password) and not is_keyed(password_hash)

    def make_portable(self, password_hash: str) -> str:
        """Write a stored hash so that another node can verify it; one that nobody can is left as it is."""
        if self._keyed is None or not is_keyed(password_hash):
            return password_hash
        try:
            return self._keyed.make_portable(password_hash)
        except PepperError as error:
            log.error("password hash cannot be handed out", problem=str(error))  # noqa: TRY400 - as above
            return password_hash

    async def waste(self, password: str) -> None:
        """Take as long as a verification, so that time does not tell whether there is an account.

        Raises:
            LoginUnavailableError: As the verification would.
        """
        if self._keyed is not None and is_generated(password):
            return
        if not self._decoy:
            self._decoy = await self.hash(secrets.token_hex())
        await self.verify(self._decoy, password)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            if is_foreign(password_hash):
                return verify_foreign(password_hash, password)
            return self._argon2.verify(password_hash, password)
        except argon2.exceptions.InvalidHashError:
            log.error("stored password hash is unreadable; give the account a new password")  # noqa: TRY400 - the trace would show the hash
            return False
        except argon2.exceptions.VerificationError:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        # IMAP runs a login without a task until it gives up its turn (imap/eager.py). Only a task is told
        # when the node stops, and there will be no thread any more.
        await asyncio.sleep(0)
        if self._room <= 0:
            raise LoginUnavailableError("Too many logins at this moment. Try again later.")
        self._room -= 1
        job = self._executor.submit(work)
        # Room is given back when the thread is done, not when the caller gives up: the thread works on.
        loop = asyncio.get_running_loop()
        job.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self._give_room))
        return await asyncio.wrap_future(job)

    def _give_room(self) -> None:
        self._room += 1


def check_hash(password_hash: str) -> None:
    """See that a login could verify a hash that another server has made.

    Raises:
        BadAddressError: It could not.
    """
    if is_foreign(password_hash):
        return
    try:
        parameters = argon2.extract_parameters(password_hash)
    except (argon2.exceptions.InvalidHashError, ValueError) as error:
        raise BadAddressError(
            "This hash cannot be verified here. Take sha256:, $2b$, $5$, $6$ or $argon2."
        ) from error
    if parameters.memory_cost > MAX_MEMORY_KIB or parameters.time_cost > MAX_TIME_COST:
        raise BadAddressError("This hash would take too long to verify. Import the password.")


def is_judgeable(password: str) -> bool:
    """Tell whether a password can be that of any account: not endless, and text that UTF-8 can express."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return len(password) <= MAX_PASSWORD_LENGTH


def check_new_password(password: str) -> None:
    """Judge whether an account may be created with a password.

    Raises:
        BadAddressError: It is too short, longer than anybody needs, or no text.
    """
    if len(password) < MIN_PASSWORD_LENGTH or not is_judgeable(password):
        raise BadAddressError(f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters.")


def invent_credentials() -> tuple[str, str]:
    """Invent the name and the password of a new account."""
    name = _invent(string.ascii_lowercase + string.digits, INVENTED_NAME_LENGTH)
    return name, _invent(string.ascii_letters + string.digits, INVENTED_PASSWORD_LENGTH)


def _invent(characters: str, length: int) -> str:
    return "".join(secrets.choice(characters) for _ in range(length))
