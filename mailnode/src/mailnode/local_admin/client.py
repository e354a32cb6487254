"""Ask the running daemon over its socket.

For: commands.py; one request, one answer, synchronously.
Not for: showing the answer.
"""

import socket
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError

from mailnode.local_admin.errors import LocalAdminError
from mailnode.local_admin.requests import MAX_RESULT_BYTES, Answer
from mailnode.local_admin.server import SOCKET_NAME

TIMEOUT_SECONDS = 60.0

_JSON: TypeAdapter[Mapping[str, JsonValue]] = TypeAdapter(Mapping[str, JsonValue])


def ask(
    directory: Path, request: Mapping[str, JsonValue], timeout_seconds: float = TIMEOUT_SECONDS
) -> dict[str, JsonValue]:
    """Have a request carried out by the daemon whose socket is in `directory`.

    Raises:
        LocalAdminError: The daemon cannot be reached, or refuses; the text says what to do.
    """
    path = directory / SOCKET_NAME
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(timeout_seconds)
        try:
            channel.connect(str(path))
            channel.sendall(_JSON.dump_json(request) + b"\n")
            line = _read_line(channel)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise LocalAdminError(
                f"mailnode is not running, or its socket is not {path}. Start it, for example with"
                " `systemctl start mailnode`, or name its runtime directory."
            ) from error
        except PermissionError as error:
            raise LocalAdminError(f"You may not open {path}. Run this command as root.") from error
        except OSError as error:
            raise LocalAdminError(f"mailnode does not answer at {path}: {error}. See its log.") from error
    try:
        answer = Answer.model_validate_json(line)
    except ValidationError as error:
        raise LocalAdminError(
            f"What answers at {path} is no mailnode, or has broken off. See its log."
        ) from error
    if not answer.ok:
        raise LocalAdminError(answer.error)
    return answer.result


def _read_line(channel: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n") and len(line) <= MAX_RESULT_BYTES:
        received = channel.recv(65_536)
        if not received:
            break
        line += received
    return bytes(line)
