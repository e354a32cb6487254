"""Listen on a socket that only root (or the service's own user) may open, and answer line by line.

For: the daemon.
Not for: what is asked (requests.py) or done (actions.py).
"""

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.overrides import LocalOverrides
from mailnode.local_admin.actions import Actions, Status
from mailnode.local_admin.errors import LocalAdminError
from mailnode.local_admin.requests import MAX_LINE_BYTES, Answer, parse_request
from mailnode.store.mail_store import MailStore

SOCKET_NAME = "admin.sock"
DEADLINE_SECONDS = 60.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class LocalAdminServer:
    """Answers the local admin on `directory`/admin.sock."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        store: MailStore,
        overrides: LocalOverrides,
        status: Status,
        directory: Path,
    ) -> None:
        self._actions = Actions(accounts=accounts, store=store, overrides=overrides, status=status)
        self._path = directory / SOCKET_NAME

    async def start(self, stack: AsyncExitStack) -> None:
        """Listen until `stack` unwinds. Raises: LocalAdminError, when the socket cannot be made."""
        listener = stack.enter_context(_listen(self._path))
        stack.callback(self._path.unlink, missing_ok=True)
        tasks: set[asyncio.Task[None]] = set()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(lambda: [task.cancel() for task in tasks])

        def spawn(work: Coroutine[None, None, None]) -> None:
            task = group.create_task(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_unix_server(
            lambda reader, writer: spawn(self._serve(reader, writer)), sock=listener, limit=MAX_LINE_BYTES
        )
        stack.callback(server.close)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            is_open = True
            while is_open:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    answer, is_open = await self._read_and_answer(reader)
                    writer.write(answer.model_dump_json().encode() + b"\n")
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            return
        finally:
            writer.close()

    async def _read_and_answer(self, reader: asyncio.StreamReader) -> tuple[Answer, bool]:
        """Answer one line; tell whether another one can be read after it."""
        try:
            line = await reader.readuntil()
        except asyncio.LimitOverrunError:
            text = f"The request is longer than {MAX_LINE_BYTES} bytes."
            return Answer(ok=False, error=text), False
        try:
            return Answer(ok=True, result=await self._actions.run(parse_request(line))), True
        except LocalAdminError as error:
            return Answer(ok=False, error=str(error)), True
        except Exception:
            log.exception("local admin request failed")
            return Answer(ok=False, error="The request failed; the log says why."), True


def _listen(path: Path) -> socket.socket:
    """Make the socket; its mode is set before anybody can connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
    except OSError as error:
        listener.close()
        raise LocalAdminError(
            f"The admin socket {path} cannot be made: {error}. Give mailnode a runtime directory of its own."
        ) from error
    return listener


def _remove_dead(path: Path) -> None:
    """Remove the socket that a killed process has left. Raises: FileExistsError when somebody answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except FileNotFoundError:
            return
        else:
            raise FileExistsError("another mailnode answers there")
