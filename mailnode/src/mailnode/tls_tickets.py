"""The key of TLS session tickets: clients resume their sessions after a restart of the node, too.

    ticket-key, only the node's user reads it ─▶ SSL_CTX_ctrl ─▶ every context, at start and when rotated

For: the daemon. A resumed handshake saves the signature, which is most of what a reconnect costs, and after
a restart the whole user base reconnects within a minute or two.
Not for: certificates (nodelink.daemon.tls).

A ticket holds what a session is resumed with, so whoever has the key can open it; TLS 1.3 makes fresh keys
for each connection nevertheless. A rotation makes former tickets useless: their clients shake hands in full,
once.

Python's ssl cannot set the key, ctypes can: it needs the SSL_CTX, which is the first field of a context
behind the object's head. That is proved first, in a process of its own (ticket_probe.py), because a wrong
pointer would end this one; once for each version of Python and OpenSSL, after which the key is in force
before the first client comes. Where it does not hold, tickets work until the next restart, as ever.

Source: SSL_CTX_set_tlsext_ticket_keys(3); RFC 8446 section 4.6.1.
"""

import asyncio
import secrets
import ssl
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from mailnode.ticket_probe import KEY_BYTES, set_ticket_key
from nodelink.channel.files import read_if_there, write_durably
from nodelink.daemon.tasks import open_task_group

KEY_FILE = "ticket-key"
PROOF_FILE = "ticket-key-proved"
PROVED = f"{sys.version}\n{ssl.OPENSSL_VERSION}\n".encode()
KEY_SECONDS = 24 * 3600
LOOK_SECONDS = 3600
PROBE_SECONDS = 20

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class TicketKey:
    """One key for several contexts, kept in a directory that only the node's user enters.

    certificate, key: what the proof shakes hands with.
    """

    directory: Path
    contexts: Sequence[ssl.SSLContext]
    certificate: Path
    key: Path

    async def start(self, stack: AsyncExitStack) -> None:
        """Put the key in force and rotate it, until the stack unwinds; where it cannot be done, say so."""
        for context in self.contexts:
            context.num_tickets = 1  # the next resumption brings the next one
        is_proved = read_if_there(self.directory / PROOF_FILE) == PROVED
        if is_proved:
            self.renew(time.time())
        spawn = await open_task_group(stack)
        spawn(self._keep_renewing(is_proved=is_proved))

    def renew(self, now_seconds: float) -> None:
        """Put the kept key in force, or a new one where it is too old, missing or damaged."""
        path = self.directory / KEY_FILE
        try:
            key = read_if_there(path)
            if key is None or len(key) != KEY_BYTES or now_seconds - path.stat().st_mtime >= KEY_SECONDS:
                key = secrets.token_bytes(KEY_BYTES)
                write_durably(path, key)
        except OSError as error:
            log.warning("tls ticket key not kept", problem=str(error))
            return
        for context in self.contexts:
            set_ticket_key(context, key)

    async def _keep_renewing(self, *, is_proved: bool) -> None:
        if not is_proved and not await self._prove():
            log.warning("tls sessions end with a restart", remedy="none is needed; reconnects cost more")
            return
        while True:
            await asyncio.to_thread(self.renew, time.time())
            await asyncio.sleep(LOOK_SECONDS)

    async def _prove(self) -> bool:
        if not await is_possible(self.certificate, self.key):
            return False
        try:
            await asyncio.to_thread(write_durably, self.directory / PROOF_FILE, PROVED)
        except OSError as error:
            log.warning("proof of tls tickets not kept", problem=str(error))
        return True


async def is_possible(certificate: Path, key: Path) -> bool:
    """Tell whether the key of a context can be set in this interpreter, without risking this process."""
    quiet = asyncio.subprocess.DEVNULL
    program = (sys.executable, "-m", "mailnode.ticket_probe", str(certificate), str(key))
    try:
        probe = await asyncio.create_subprocess_exec(*program, stdin=quiet, stdout=quiet, stderr=quiet)
    except OSError:
        return False
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await probe.wait() == 0
    except TimeoutError:
        return False
    finally:  # when the node is told to stop meanwhile, too
        if probe.returncode is None:
            probe.kill()
