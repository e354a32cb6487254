"""Run a daemon: loop, signals, readiness, watchdog, orderly end.

For: `main()` of each daemon, which hands in a function that builds its parts and starts them on a stack.
Not for: what the parts do.

    serve(chassis, stack) ─▶ READY=1 ─▶ WATCHDOG=1 … ─▶ SIGTERM ─▶ STOPPING=1 ─▶ the stack unwinds
                                             SIGHUP ─▶ every function of `on_reload` is called
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog
import uvloop

from nodelink.daemon.errors import HostError
from nodelink.daemon.service_manager import ServiceManager, Systemd
from nodelink.daemon.settings import refuse_configuration

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Chassis:
    """What a daemon's parts may use of their process."""

    manager: ServiceManager
    on_reload: list[Callable[[], None]] = field(default_factory=list)


Serve = Callable[[Chassis, AsyncExitStack], Awaitable[None]]


def run_daemon(serve: Serve) -> None:
    """Run until SIGTERM or SIGINT; exit code 2 where the host is not as the settings say."""
    try:
        uvloop.run(_run(serve, Systemd.from_environment()))
    except* HostError as errors:  # parts that run already wrap it in the group of their tasks
        refuse_configuration(_find_sentence(errors))


def _find_sentence(errors: BaseExceptionGroup[HostError]) -> str:
    """Find what to tell the operator: the first of several errors."""
    first = errors.exceptions[0]
    return _find_sentence(first) if isinstance(first, BaseExceptionGroup) else str(first)


async def _run(serve: Serve, manager: ServiceManager) -> None:
    is_over = asyncio.Event()
    chassis = Chassis(manager)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, is_over.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: [reload() for reload in chassis.on_reload])
    async with AsyncExitStack() as stack:
        await serve(chassis, stack)
        manager.notify("READY=1")
        log.info("daemon ready")
        await _watch(manager, is_over)
        manager.notify("STOPPING=1")
        log.info("daemon stopping")


async def _watch(manager: ServiceManager, is_over: asyncio.Event) -> None:
    """Tell the service manager that the loop is alive, until the end."""
    pause_seconds = manager.watchdog_seconds / 3 if manager.watchdog_seconds else None
    while not is_over.is_set():
        try:
            async with asyncio.timeout(pause_seconds):
                await is_over.wait()
        except TimeoutError:
            manager.notify("WATCHDOG=1")
