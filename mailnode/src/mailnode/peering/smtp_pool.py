"""Hand messages over by SMTP, several on a connection, with TLS that is verified.

For: courier.
Not for: which server, and when again; logins (there are none between servers).

    connection that waits ─▶ MAIL, RCPT ..., DATA ─▶ it waits again     30 s, 100 messages at most
        └ gone? a new one: EHLO, STARTTLS, EHLO

Source: RFC 5321, RFC 3207; RFC 5321 section 4.2.1 for what 4xx and 5xx mean.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from mailnode.federation.delivery import Delivery, tidy_reason
from mailnode.federation.retry import Delivered, Failed, Outcome, Refused
from mailnode.peering.routes import Stop
from mailnode.peering.upload import MAX_ADDRESSES, FindAddresses, TlsContexts

CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 60.0
TRANSACTION_SECONDS = 600.0
IDLE_SECONDS = 30.0
MESSAGES_PER_CONNECTION = 100
MAX_IDLE_PER_HOST = 4
NO_TLS = "the server offers no TLS, without which no mail is handed over"


class UnreachableError(Exception):
    """There is no connection to the server, or none with TLS."""


@dataclass(slots=True)
class _Line:
    client: SMTP
    sent: int = 0
    idle_since: float = 0.0


@dataclass(slots=True, kw_only=True)
class SmtpPool:
    """The way by SMTP to all servers. `helo_name` is who we say we are."""

    helo_name: str
    tls: TlsContexts
    find_addresses: FindAddresses
    source_address: str | None = None
    _idle: dict[Stop, list[_Line]] = field(init=False, default_factory=dict)

    async def send(self, stop: Stop, delivery: Delivery, message: bytes) -> Outcome:
        """Try once to hand a message over; a connection that was closed meanwhile is replaced."""
        self._close_stale()
        line = self._take_idle(stop)
        if line is not None:
            with suppress(SMTPServerDisconnected):
                return await self._use(stop, line, delivery, message)
        try:
            line = await self._connect(stop)
        except UnreachableError as error:
            return Failed(str(error), is_of_node=True)
        try:
            return await self._use(stop, line, delivery, message)
        except SMTPServerDisconnected as error:
            return Failed(_describe(error), is_of_node=False)

    async def close(self) -> None:
        """Close all connections."""
        lines = [line for waiting in self._idle.values() for line in waiting]
        self._idle.clear()
        for line in lines:
            line.client.close()

    async def _use(self, stop: Stop, line: _Line, delivery: Delivery, message: bytes) -> Outcome:
        """Hand over on a connection. Raises: SMTPServerDisconnected, before the server has spoken."""
        is_reusable = False
        try:
            async with asyncio.timeout(TRANSACTION_SECONDS):
                outcome = await _hand_over(line.client, delivery, message)
            is_reusable = line.client.is_connected
        except SMTPServerDisconnected:
            raise
        except (SMTPTimeoutError, TimeoutError) as error:
            return Failed(_describe(error), is_of_node=False)
        finally:
            line.sent += 1
            if is_reusable and line.sent < MESSAGES_PER_CONNECTION:
                self._put_idle(stop, line)
            else:
                line.client.close()
        return outcome

    async def _connect(self, stop: Stop) -> _Line:
        """Open a connection with TLS, at one of the host's addresses. Raises: UnreachableError."""
        problem = "the host has no address that may be dialled"
        for address in (await self.find_addresses(stop.host))[:MAX_ADDRESSES]:
            source = None if self.source_address is None else (self.source_address, 0)
            client = SMTP(
                hostname=address,
                port=stop.port,
                local_hostname=self.helo_name,
                source_address=source,
                timeout=CONNECT_SECONDS,
                start_tls=False,
                use_tls=False,
            )
            try:
                await self._secure(client, stop)
            except (SMTPException, OSError, ValueError) as error:  # a handshake that fails is an OSError
                problem = _describe(error)
                client.close()
                continue
            except BaseException:
                client.close()
                raise
            client.timeout = COMMAND_SECONDS
            return _Line(client)
        raise UnreachableError(problem)

    async def _secure(self, client: SMTP, stop: Stop) -> None:
        """Open a connection and turn TLS on. Raises: SMTPException, OSError, ValueError."""
        await client.connect()
        await client.ehlo()
        if not client.supports_extension("starttls"):
            raise SMTPException(NO_TLS)
        context = self.tls.choose(is_verified=stop.is_verified)
        await client.starttls(server_hostname=stop.host, tls_context=context)
        await client.ehlo()

    def _take_idle(self, stop: Stop) -> _Line | None:
        waiting = self._idle.get(stop, [])
        while waiting:
            line = waiting.pop()
            if line.client.is_connected:
                return line
            line.client.close()
        return None

    def _put_idle(self, stop: Stop, line: _Line) -> None:
        line.idle_since = time.monotonic()
        waiting = self._idle.setdefault(stop, [])
        waiting.append(line)
        if len(waiting) > MAX_IDLE_PER_HOST:
            waiting.pop(0).client.close()

    def _close_stale(self) -> None:
        until = time.monotonic() - IDLE_SECONDS
        for stop, waiting in list(self._idle.items()):
            while waiting and waiting[0].idle_since < until:
                waiting.pop(0).client.close()
            if not waiting:
                del self._idle[stop]


async def _hand_over(client: SMTP, delivery: Delivery, message: bytes) -> Outcome:
    """Hold one transaction. Raises: SMTPServerDisconnected, SMTPTimeoutError, TimeoutError."""
    options = ["BODY=8BITMIME"] if client.supports_extension("8bitmime") else []
    try:
        errors, _ = await client.sendmail(
            delivery.mail_from, delivery.recipients, message, mail_options=options
        )
    except SMTPRecipientsRefused as refusal:
        return judge_recipients(refusal.recipients, delivery.recipients)
    except (SMTPServerDisconnected, SMTPTimeoutError):
        raise
    except SMTPResponseException as refusal:
        reason = _describe_reply(refusal.code, refusal.message)
        return Refused(reason) if 500 <= refusal.code < 600 else Failed(reason, is_of_node=False)
    except (SMTPException, ValueError) as error:
        return Failed(_describe(error), is_of_node=False)
    told = {name: (reply.code, _describe_reply(reply.code, reply.message)) for name, reply in errors.items()}
    return Delivered(
        refused={name: reason for name, (code, reason) in told.items() if code >= 500},
        later={name: reason for name, (code, reason) in told.items() if code < 500},
    )


def judge_recipients(refusals: Sequence[SMTPRecipientRefused], recipients: Sequence[str]) -> Outcome:
    """Judge that every recipient was refused, some perhaps for the time being."""
    refused = {
        each.recipient: _describe_reply(each.code, each.message) for each in refusals if each.code >= 500
    }
    later = {name: "" for name in recipients if name not in refused}
    for each in refusals:
        if each.recipient in later:
            later[each.recipient] = _describe_reply(each.code, each.message)
    if not later and len(set(refused.values())) == 1:
        return Refused(next(iter(refused.values())))
    if not refused:
        return Failed(next(iter(later.values()), "refused"), is_of_node=False)
    return Delivered(refused=refused, later=later)


def _describe_reply(code: int, text: str) -> str:
    return tidy_reason(f"{code} {text}")


def _describe(error: BaseException) -> str:
    if isinstance(error, SMTPConnectError) and error.__cause__ is not None:
        return tidy_reason(f"{type(error.__cause__).__name__}: {error.__cause__}".removesuffix(": "))
    return tidy_reason(f"{type(error).__name__}: {error}".removesuffix(": "))
