"""Serve an application with uvicorn inside the chassis of our daemons.

For: what uvicorn must be told so that it leaves signals, logs and sockets to the chassis.
Not for: the application (application.py).
"""

import asyncio
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager

import uvicorn
from fastapi import FastAPI

from nodelink.contract.frames import MAX_FRAME_BYTES

PING_SECONDS = 10.0
PONG_SECONDS = 20.0
"""A node that is busy is not gone; whether it is connected, its reports say."""
GRACE_SECONDS = 5
START_PAUSE_SECONDS = 0.01


class ChassisServer(uvicorn.Server):
    """A server whose process belongs to somebody else."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone; the chassis ends the stack instead."""
        yield


async def serve_application(
    stack: AsyncExitStack, app: FastAPI, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None
) -> None:
    """Serve until the stack unwinds; return when connections are taken."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nobody stands in front who could say who the client is
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PONG_SECONDS,
        ws_per_message_deflate=False,  # compressed secrets tell of themselves by their length
        ssl_context_factory=None if tls is None else lambda *_: tls,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = ChassisServer(config)
    group = await stack.enter_async_context(asyncio.TaskGroup())
    serving = group.create_task(server.serve(list(sockets)))

    def stop() -> None:
        server.should_exit = True

    stack.callback(stop)
    while not (server.started or serving.done()):  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(START_PAUSE_SECONDS)
