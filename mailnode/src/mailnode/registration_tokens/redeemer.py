"""Ask the control plane to redeem a token: one request over HTTPS, signed with this node's key.

For: admission.py.
Not for: who may ask how often, or making the account: that comes as an operation, over the channel.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urlsplit

import structlog

from mailnode.accounts.errors import LoginUnavailableError, RegistrationClosedError
from mailnode.http_client import ConnectError, HttpError, Question, Site
from mailnode.registration_tokens.errors import TokenElsewhereError, TokenRefusedError, TokenUnjudgedError
from nodelink.channel.connection import HTTPS_PORT, resolve_addresses
from nodelink.contract.assertions import make_assertion
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.errors import MalformedError
from nodelink.contract.keys import PrivateKey
from nodelink.contract.registration import (
    REDEMPTION_PATH,
    MadeAccount,
    Redemption,
    RefusalReason,
    RefusedRedemption,
    digest_redemption,
    read_redemption_answer,
)

ANSWER_SECONDS = 15.0
OK = 200

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRedeemer:
    """The way to the control plane. `build_tls` builds the context for one connection."""

    identity: PrivateKey
    enrolment: Enrolment
    build_tls: Callable[[], ssl.SSLContext]
    clock_seconds: Callable[[], float] = time.time

    async def redeem(self, token: str) -> MadeAccount:
        """Have an account made for a token; it works when this returns.

        Raises:
            TokenRefusedError: The token is unknown, used up or expired.
            TokenElsewhereError: It is for another page.
            TokenUnjudgedError: The control plane does not answer, or not as it should.
            RegistrationClosedError: The control plane says that this node takes no new accounts.
            LoginUnavailableError: It could not have the account made at this moment.
        """
        body = Redemption(token=token).model_dump_json().encode()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, content = await self._ask(body)
            if status != OK:
                raise MalformedError(f"status {status}")  # noqa: TRY301 - as anything that is no answer
            answer = read_redemption_answer(content)
        except (
            HttpError,
            OSError,
            ValueError,
            MalformedError,
        ) as error:  # a name may be none
            log.warning("token not judged", problem=f"{type(error).__name__}: {error}")
            raise TokenUnjudgedError from error
        if answer.account is None:
            raise _judge(answer.refused)
        return answer.account

    async def _ask(self, body: bytes) -> tuple[int, bytes]:
        """Ask at one of the control plane's addresses. Raises: HttpError, OSError, ValueError."""
        target = urlsplit(self.enrolment.url)
        assertion = make_assertion(
            self.identity,
            node=self.enrolment.node,
            audience=self.enrolment.url,
            now_seconds=int(self.clock_seconds()),
            content_digest=digest_redemption(body),
        )
        headers = [("authorization", f"Bearer {assertion}"), ("content-type", "application/json")]
        question = Question("POST", REDEMPTION_PATH, target.netloc, headers, body)
        tls = await asyncio.to_thread(self.build_tls)  # reading all the CAs takes 25 ms
        site = Site(port=target.port or HTTPS_PORT, name=target.hostname or "", tls=tls)
        try:
            return await _ask_anywhere(site, sorted(await resolve_addresses(self.enrolment.url)), question)
        finally:
            site.close()


async def _ask_anywhere(site: Site, addresses: list[str], question: Question) -> tuple[int, bytes]:
    """Ask where there is a connection; whoever was asked is not asked again elsewhere."""
    problem = ConnectError("the control plane has no address")
    for address in addresses:
        try:
            return await site.ask(address, question)
        except ConnectError as error:
            problem = error
    raise problem


def _judge(refused: RefusedRedemption | None) -> Exception:
    reason = RefusalReason.TOKEN_REFUSED if refused is None else refused.reason
    match reason:
        case RefusalReason.TOKEN_REFUSED:
            return TokenRefusedError()
        case RefusalReason.TOKEN_ELSEWHERE:
            return TokenElsewhereError(None if refused is None else refused.origin)
        case RefusalReason.CLOSED:
            return RegistrationClosedError("This server takes no new accounts at present.")
        case RefusalReason.NO_ROOM:
            return LoginUnavailableError("No account could be made at this moment. Try again later.")
        case _:
            assert_never(reason)
