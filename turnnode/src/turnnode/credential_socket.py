"""Hand out credentials by the line protocol of chatmail-turn, so that a chatmail relay can use this node.

    connect ─▶ one line: username:password ─▶ the end

For: a relay on the same host, which is set to read its TURN credentials from a Unix socket.
Not for: mail nodes of the fleet, which make their own; and not for clients.

Each credential ends at a second of its own, so that quotas and figures tell accounts apart, as long as not
more than one a second is asked for on average. The newest secret makes them.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import structlog

from nodelink.daemon.errors import HostError
from turnnode.relay.credentials import password_of
from turnnode.relay.policy import RelayPolicyHolder

LIFETIME_SECONDS: Final = 5 * 86_400  # what chatmail-turn gives; apps renew when 12 hours are left
MAX_AHEAD_SECONDS: Final = 86_400
ANSWER_SECONDS: Final = 5
SOCKET_MODE: Final = 0o660

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def next_expiry(now_seconds: int, last: int, longest_seconds: int) -> int:
    """Return the second at which the next credential ends: after the last one's, and not too far.

    `longest_seconds` is what the policy still accepts.
    """
    earliest = now_seconds + min(LIFETIME_SECONDS, longest_seconds)
    latest = min(earliest + MAX_AHEAD_SECONDS, now_seconds + longest_seconds)
    return max(earliest, last + 1) if last < latest else earliest


class CredentialSocket:
    """Answers each connection with one credential.

    Args:
        path: Where to listen. What lies there of a former process is replaced.
        policy: Whose newest secret makes the credentials; without one, connections get an empty answer.
        calendar: Unix seconds.
    """

    def __init__(
        self, path: Path, policy: RelayPolicyHolder, calendar: Callable[[], float] = time.time
    ) -> None:
        self.handed_out = 0
        self._path = path
        self._policy = policy
        self._calendar = calendar
        self._last = 0

    async def start(self, stack: AsyncExitStack) -> None:
        """Answer until `stack` unwinds.

        Raises:
            HostError: It cannot listen there.
        """
        draft = self._path.with_name(self._path.name + ".new")
        try:
            draft.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(self._answer, draft)
            draft.chmod(SOCKET_MODE)
            draft.replace(self._path)  # so that a relay finds the old one or the new one, and never none
        except OSError as error:
            raise HostError(
                f"Cannot listen on {self._path}: {error.strerror}; set credential_socket to a path that"
                " the service may write."
            ) from error
        own = self._path.lstat().st_ino
        stack.callback(self._remove, own)
        stack.callback(server.close)

    def _remove(self, inode: int) -> None:
        """Remove the socket, unless another process has put its own there."""
        with suppress(FileNotFoundError):
            if self._path.lstat().st_ino == inode:
                self._path.unlink()

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        policy = self._policy.current
        if policy.secrets:
            expiry = next_expiry(int(self._calendar()), self._last, policy.max_credential_lifetime_seconds)
            self._last = expiry
            self.handed_out += 1
            writer.write(f"{expiry}:{password_of(policy.secrets[0], str(expiry))}\n".encode())
        else:
            log.warning("no credential to hand out yet", remedy="wait for the first desired state")
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.close()
                await writer.wait_closed()
