"""Debian's coturn on loopback, to compare with."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from turnnode.stun.attributes import Address

PROGRAM = shutil.which("turnserver")
SOON_SECONDS = 15


@asynccontextmanager
async def running_coturn(directory: Path, secret: str) -> AsyncIterator[Address]:
    """Run coturn while the context lasts; it takes credentials of the secret, and loopback peers."""
    assert PROGRAM is not None
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *(
            "-n",
            "--listening-ip=127.0.0.1",
            "--relay-ip=127.0.0.1",
            "--relay-ip=::1",
            f"--listening-port={port}",
        ),
        *("--use-auth-secret", f"--static-auth-secret={secret}", "--realm=example.org", "--fingerprint"),
        *("--allow-loopback-peers", "--no-tls", "--no-dtls", "--no-cli", "--log-file=stdout", "--simple-log"),
        *(f"--pidfile={directory / 'pid'}", f"--userdb={directory / 'db'}"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=directory,
    )
    try:
        async with asyncio.timeout(SOON_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.05)
        yield "127.0.0.1", port
    finally:
        process.kill()
        await process.wait()
