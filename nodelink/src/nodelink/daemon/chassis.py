"""Run a daemon: loop, signals, readiness, watchdog, orderly end.

For: `main()` of each daemon, which hands in a function that builds its parts and starts them on a stack.
Not for: what the parts do.

    serve(chassis, stack) ─▶ READY=1 ─▶ WATCHDOG=1 … ─▶ SIGTERM ─▶ STOPPING=1 ─▶ the stack unwinds
                                             SIGHUP ─▶ every function of `on_reload` is called

A daemon whose work may not pause puts a function into `on_moved`: then another process can take its place
while both run (handover.py, succession.py). Its `serve` calls `take_over`, builds on the sockets, calls
`commit`, serves, and awaits `settle` before what only one process may do. Where nobody is followed, the three
do nothing.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog
import uvloop

from nodelink.daemon.errors import HostError
from nodelink.daemon.handover import HandoverOffer
from nodelink.daemon.service_manager import Systemd
from nodelink.daemon.settings import refuse_configuration
from nodelink.daemon.succession import Succession

FAREWELL_SECONDS = 2  # for what the service manager has not read yet

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Chassis:
    """What a daemon's parts may use of their process.

    Attributes:
        manager: Whoever supervises; another one after `take_over`.
        on_reload: Called at each SIGHUP.
        on_moved: Called once another process serves with our sockets; each lets go of some, at once.
        succession: How to follow the process that serves; `None` where none is followed.
    """

    manager: Systemd
    on_reload: list[Callable[[], None]] = field(default_factory=list)
    on_moved: list[Callable[[], None]] = field(default_factory=list)
    succession: Succession | None = None

    def take_over(self) -> None:
        """Make the process that we follow be still, and take its sockets. Raises: HandoverError."""
        if self.succession is not None:
            self.manager = self.succession.take_over()

    def commit(self) -> None:
        """Be the one that serves, from now on. Raises: HandoverError."""
        if self.succession is not None:
            self.succession.commit()

    async def settle(self) -> None:
        """Wait until the process that we followed has ended. Raises: HandoverError."""
        if self.succession is not None:
            await self.succession.settle()


Serve = Callable[[Chassis, AsyncExitStack], Awaitable[None]]


def run_daemon(serve: Serve, succession: Succession | None = None) -> None:
    """Run until SIGTERM or SIGINT; exit code 2 where the host is not as the settings say."""
    try:
        uvloop.run(_run(serve, Chassis(Systemd.from_environment(), succession=succession)))
    except* HostError as errors:  # parts that run already wrap it in the group of their tasks
        refuse_configuration(_find_sentence(errors))


def _find_sentence(errors: BaseExceptionGroup[HostError]) -> str:
    """Find what to tell the operator: the first of several errors."""
    first = errors.exceptions[0]
    return _find_sentence(first) if isinstance(first, BaseExceptionGroup) else str(first)


async def _run(serve: Serve, chassis: Chassis) -> None:
    is_over, is_moved = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, is_over.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: [reload() for reload in chassis.on_reload])

    def move() -> None:
        for let_go in chassis.on_moved:
            let_go()
        is_moved.set()
        is_over.set()

    async with AsyncExitStack() as stack:
        await serve(chassis, stack)
        manager = chassis.manager
        _drop_unclaimed(manager)
        if chassis.on_moved and manager.runtime_directory is not None:
            HandoverOffer(manager, move).start(stack, manager.runtime_directory)
        manager.notify("READY=1")
        log.info("daemon ready")
        await _watch(manager, is_over)
        if not is_moved.is_set():
            manager.notify("STOPPING=1")
        log.info("daemon stopping")
    manager.channel.finish(FAREWELL_SECONDS)
    manager.channel.close()


def _drop_unclaimed(manager: Systemd) -> None:
    """Close what a former process kept and nobody wants any more, as after a port was changed.

    Kept open, such a socket would take connections that nobody serves.
    """
    for name in manager.list_inherited():
        for unclaimed in manager.take_inherited(name):
            unclaimed.close()
        manager.let_go(name)
        log.info("kept socket closed", name=name)


async def _watch(manager: Systemd, is_over: asyncio.Event) -> None:
    """Tell the service manager that the loop is alive, until the end."""
    pause_seconds = manager.watchdog_seconds / 3 if manager.watchdog_seconds else None
    while not is_over.is_set():
        try:
            async with asyncio.timeout(pause_seconds):
                await is_over.wait()
        except TimeoutError:
            manager.notify("WATCHDOG=1")
