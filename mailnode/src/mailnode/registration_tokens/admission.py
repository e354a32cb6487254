"""Decide who may have a token redeemed here, and how often.

    registration closed? ─▶ too many wrong tokens from there? ─▶ too many accounts? ─▶ control plane

For: the routes that make accounts (http/app.py).
Not for: judging tokens (redeemer.py asks), or for accounts without one (accounts).

Wrong tokens are counted for the address that they come from, so they hold off nobody else.
"""

import re
from dataclasses import dataclass, field
from typing import Protocol

from mailnode.accounts.rate_limit import RateLimit, RateLimiter, find_prefix
from mailnode.registration_tokens.errors import TokenRefusedError, TooManyTokensError
from nodelink.contract.registration import MAX_TOKEN_CHARACTERS, MadeAccount

WRONG_TOKENS = RateLimit(per_minute=10, burst=20)

_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_TOKEN_CHARACTERS}}}", re.ASCII)


class Redeemer(Protocol):
    """Whoever judges tokens; `redeemer.TokenRedeemer` is one."""

    async def redeem(self, token: str) -> MadeAccount:
        """Have an account made for a token."""


class Registrar(Protocol):
    """Whoever counts new accounts; `mailnode.accounts.accounts.Accounts` is one."""

    def admit_creation(self, client_address: str) -> None:
        """Count an account that is to be made for a client."""


@dataclass(slots=True)
class TokenAdmission:
    """The limits before the control plane is asked. `redeemer` is `None` on a node of no fleet."""

    accounts: Registrar
    redeemer: Redeemer | None
    wrong_tokens: RateLimiter = field(default_factory=lambda: RateLimiter(WRONG_TOKENS))

    async def register(self, token: str, client_address: str) -> tuple[str, str]:
        """Make an account for whoever has shown a token.

        Returns:
            (address, password).

        Raises:
            TooManyTokensError: Too many wrong ones came from there.
            TokenRefusedError: The token is unknown, used up or expired.
            TokenElsewhereError: It is for another page.
            TokenUnjudgedError: The control plane does not answer.
            RegistrationClosedError: This node takes no new accounts.
            LoginUnavailableError: Overload, too many from this client, or no account at this moment.
        """
        prefix = find_prefix(client_address)
        if not self.wrong_tokens.may(prefix):
            raise TooManyTokensError
        self.accounts.admit_creation(client_address)
        try:
            made = await self._redeem(token)
        except TokenRefusedError:
            self.wrong_tokens.spend(prefix)
            raise
        return made.address, made.password

    async def _redeem(self, token: str) -> MadeAccount:
        if self.redeemer is None or not _TOKEN.fullmatch(token):
            raise TokenRefusedError
        return await self.redeemer.redeem(token)
