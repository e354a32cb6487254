"""Judge logins, and make accounts at the first one, as chat relays do: SHA-512-CRYPT, one file each.

For: the pipeline of the bench, asked by accounts.lua. A password that was right once is known from
then on without its hash, which no relay does: in the pipeline's favour. Runs on Debian's own Python.
"""

import asyncio
import ctypes
import os
import secrets
from pathlib import Path

SOCKET = "/run/bench-accounts"
DIRECTORY = Path("/var/mail/accounts")

libcrypt = ctypes.CDLL("libcrypt.so.1")
libcrypt.crypt.restype = ctypes.c_char_p
known: dict[str, str] = {}


def log_in(user: str, password: str) -> bool:
    """Verify a password, or keep it as that of a new account."""
    if user in known:
        return known[user] == password
    file = DIRECTORY / user
    if file.exists():
        stored = file.read_bytes()
        is_right = bool(libcrypt.crypt(password.encode(), stored) == stored)
    else:
        salt = f"$6${secrets.token_hex(8)}"
        draft = file.with_suffix(".new")
        draft.write_bytes(libcrypt.crypt(password.encode(), salt.encode()))
        draft.rename(file)
        is_right = True
    if is_right:
        known[user] = password
    return is_right


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one auth process."""
    while line := await reader.readline():
        user, _, password = line.decode().rstrip("\n").partition("\t")
        writer.write(b"OK\n" if log_in(user, password) else b"NO\n")


async def main() -> None:
    """Serve until the bench ends."""
    server = await asyncio.start_unix_server(serve, SOCKET)
    os.chmod(SOCKET, 0o666)  # noqa: PTH101, S103 - dovecot's auth has a user of its own
    await server.serve_forever()


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    asyncio.run(main())
