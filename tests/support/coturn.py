"""Debian's coturn on loopback, to compare with."""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from turnnode.stun.attributes import Address
from turnnode.stun.message import TRANSACTION_ID_BYTES, Message, MessageClass, Method, encode

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
        await asyncio.to_thread(wait_for_answer, ("127.0.0.1", port))
        yield "127.0.0.1", port
    finally:
        process.kill()
        await process.wait()


def wait_for_answer(server: Address) -> None:
    """Ask until a Binding is answered: coturn listens before its threads read. Raises: TimeoutError."""
    request = encode(Message(Method.BINDING, MessageClass.REQUEST, os.urandom(TRANSACTION_ID_BYTES), ()))
    deadline = time.monotonic() + SOON_SECONDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(server)
        client.settimeout(0.1)
        while time.monotonic() < deadline:
            try:
                client.send(request)
                client.recv(1500)
            except (ConnectionRefusedError, TimeoutError):
                time.sleep(0.05)
            else:
                return
    raise TimeoutError(f"coturn answers nothing on {server} after {SOON_SECONDS} s")
