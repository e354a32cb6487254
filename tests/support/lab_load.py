"""People at work while an operator changes something: senders at a fixed rate, and phones that wait.

    sender ── 10 messages a second, each until it is acknowledged ──▶ mail1 ──▶ receiver's mailbox
    phone  ── IDLE; connects again whenever it is hung up on ───────▶ mail1
    call   ── 50 packets a second each way (media_streams.py) ──────▶ turn1

For: lab tests. All of it runs on one client's computer, in threads.
"""

import asyncio
import base64
import json
import secrets
import smtplib
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab_network import GATEWAY_IPV4
from support.deployed_fleet import run_on
from support.knocking import HANGING_UP
from support.lab import MAIL, TURN, LabFleet
from support.mail_clients import TIMEOUT_SECONDS, count_message_ids, open_smtp, trusting_context
from support.media_streams import MediaStreams
from support.openpgp_messages import armored, encrypted_mail, real_packets

SENDERS = 20
MESSAGES_PER_SECOND = 200
PHONES = 500
PHONE_ACCOUNTS = 25
RETRY_SECONDS = 0.1
TURN_PORT = 3478
START_SECONDS = 60
SHUTTING_DOWN = 421

Account = dict[str, str]


@dataclass(slots=True)
class Load:
    """What happened to the clients.

    `hung_up` counts by client the connections that the node has ended, `failures` all else that went wrong.
    """

    acknowledged: list[str] = field(default_factory=list)
    hung_up: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    messages_per_second: float = 0
    waiting_phones: int = 0
    receivers: list[Account] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def note(self, client: str, error: Exception) -> None:
        """Take down how a client's connection, or its attempt at one, ended."""
        if isinstance(error, (*HANGING_UP, smtplib.SMTPServerDisconnected)) or _is_farewell(error):
            self.hung_up[client] += 1
        else:
            self.failures[f"{client}: {error!r}"] += 1

    def count_received(self) -> Counter[str]:
        """Count each message in the receivers' mailboxes."""
        found: Counter[str] = Counter()
        for receiver in self.receivers:
            found += count_message_ids(receiver["email"], receiver["password"])
        return found


@contextmanager
def open_load(fleet: LabFleet) -> Iterator[Load]:
    """Keep senders and phones busy; when the block ends, wait until the last message is acknowledged."""
    senders = [fleet.register() for _ in range(SENDERS)]
    phones = [fleet.register() for _ in range(PHONE_ACCOUNTS)]
    load = Load(receivers=[fleet.register() for _ in range(SENDERS)])
    armor = armored(real_packets(5000))
    with ThreadPoolExecutor(SENDERS + 1) as executor:
        work = [
            executor.submit(fleet.network.call, "a", lambda pair=pair: _send(load, pair, armor))
            for pair in zip(senders, load.receivers, strict=True)
        ]
        work.append(executor.submit(fleet.network.call, "a", lambda: asyncio.run(_hold(load, phones))))
        try:
            _wait_until_busy(load)
            before, began_at = len(load.acknowledged), time.monotonic()
            yield load
            load.messages_per_second = (len(load.acknowledged) - before) / (time.monotonic() - began_at)
        finally:
            load.is_over.set()
        for done in work:
            done.result()


def open_calls() -> MediaStreams:
    """Prepare calls through turn1. Their credentials are made of the secret that its desired state holds."""
    kept = json.loads(run_on("turn1", "cat /var/lib/turnnode/node/desired-state.json"))
    payload = kept["document"].split(".")[1]
    state = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return MediaStreams((TURN, TURN_PORT), str(state["state"]["secrets"][0]), GATEWAY_IPV4)


def _wait_until_busy(load: Load) -> None:
    deadline = time.monotonic() + START_SECONDS
    while load.waiting_phones < PHONES or len(load.acknowledged) < MESSAGES_PER_SECOND:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{load.waiting_phones} phones wait, {len(load.acknowledged)} messages sent")
        time.sleep(0.1)


def _send(load: Load, pair: tuple[Account, Account], armor: bytes) -> None:
    """Send at a fixed rate; what is not acknowledged is sent again, with the same Message-ID."""
    sender, receiver = pair
    pause = SENDERS / MESSAGES_PER_SECOND
    client: smtplib.SMTP_SSL | None = None
    due_at = time.monotonic()
    while not load.is_over.is_set():
        message_id = f"{secrets.token_hex(12)}@example.org"
        message = bytes(encrypted_mail(armor, sender["email"], message_id))
        while True:
            try:
                client = client or open_smtp(sender["email"], sender["password"])
                client.sendmail(sender["email"], [receiver["email"]], message)
            except (OSError, smtplib.SMTPException) as error:
                load.note(sender["email"], error)
                if client is not None:
                    client.close()
                client = None
                time.sleep(RETRY_SECONDS)
            else:
                load.acknowledged.append(f"<{message_id}>")
                break
        due_at += pause
        time.sleep(max(0.0, due_at - time.monotonic()))
    if client is not None:
        client.close()


async def _hold(load: Load, accounts: list[Account]) -> None:
    context = trusting_context()
    phones = [
        asyncio.create_task(_wait(load, f"phone {number}", accounts[number % PHONE_ACCOUNTS], context))
        for number in range(PHONES)
    ]
    await asyncio.to_thread(load.is_over.wait)
    for phone in phones:
        phone.cancel()
    await asyncio.gather(*phones, return_exceptions=True)


async def _wait(load: Load, phone: str, account: Account, context: ssl.SSLContext) -> None:
    """Be a phone: log in, wait; once hung up on, do it again."""
    while True:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_connection(MAIL, 993, ssl=context)
            try:
                await _idle(load, account, reader, writer)
            finally:
                writer.transport.abort()
        except (OSError, EOFError) as error:
            load.note(phone, error)
        await asyncio.sleep(RETRY_SECONDS)


async def _idle(
    load: Load, account: Account, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Log in, and wait for whatever comes. Raises: EOFError when the node hangs up."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        writer.write(f'a LOGIN "{account["email"]}" "{account["password"]}"\r\n'.encode())
        await reader.readuntil(b"\na OK")
        writer.write(b"b SELECT INBOX\r\nc IDLE\r\n")
        await reader.readuntil(b"\n+ ")
    load.waiting_phones += 1
    try:
        while await reader.read(4096):
            pass
    finally:
        load.waiting_phones -= 1
    raise EOFError


def _is_farewell(error: Exception) -> bool:
    """Tell whether SMTP's answer was that the node is about to go."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return {code for code, _ in error.recipients.values()} == {SHUTTING_DOWN}
        case smtplib.SMTPResponseException():
            return error.smtp_code == SHUTTING_DOWN
        case _:
            return False
