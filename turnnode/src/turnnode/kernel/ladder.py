"""Climb to the fastest rung that works here.

    native XDP ─▶ TC ─▶ generic XDP ─▶ userspace      each is proved before it is used; `auto` takes the first
    a rung that was set ─▶ that one, or an error

For: the start of a node.
Not for: what the rungs do (bpf/), nor for leaving one while the node runs.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from turnnode.errors import KernelPathError, RungUnavailableError
from turnnode.kernel.attachment import attach, detach_others
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.proof import prove
from turnnode.kernel.route_messages import Interface
from turnnode.kernel.rungs import Rung, RungChoice, rungs_of

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_ETHERNET: Final = 1


@dataclass(frozen=True, slots=True)
class Ground:
    """What a ladder stands on.

    Attributes:
        maps: Of the programs.
        interfaces: Where packets of calls arrive.
        port: Where clients are served.
        directory: In a BPF file system; `None` if there is none.
    """

    maps: RelayMaps
    interfaces: list[Interface]
    port: int
    directory: Path | None


def climb(stack: ExitStack, ground: Ground, choice: RungChoice, *, beneath: Rung | None = None) -> Rung:
    """Attach the first rung that works, at all or beneath another; `stack` closes it, but for what is pinned.

    Raises:
        RungUnavailableError: The rung that was set does not work.
    """
    rungs = rungs_of(choice)
    for rung in rungs if beneath is None else rungs[rungs.index(beneath) + 1 :]:
        if rung is Rung.USERSPACE:
            break
        reason = _doubt(ground, rung) if choice is RungChoice.AUTO else None
        came = reason or _try(stack, ground, rung)
        if not isinstance(came, str):
            _detach_others(ground, came)
            log.info("relaying in the kernel", rung=rung, interfaces=[one.name for one in ground.interfaces])
            return rung
        if choice is not RungChoice.AUTO:
            raise RungUnavailableError(f"{rung} is not available: {came}")
        log.info("rung not available", rung=rung, reason=came)
    _detach_others(ground, frozenset())
    return Rung.USERSPACE


def _doubt(ground: Ground, rung: Rung) -> str | None:
    """Tell why a rung may lose packets although it can be attached."""
    for interface in ground.interfaces:
        if rung is Rung.XDP and interface.kind == "veth":
            return f"{interface.name} is half of a pair, whose other half may not take frames from XDP"
    return None


def _try(stack: ExitStack, ground: Ground, rung: Rung) -> frozenset[str] | str:
    """Prove a rung and attach it; return the names of its pins, or why that does not work."""
    if not ground.interfaces:
        return "no interface has an address that this node uses"
    for interface in ground.interfaces:
        if interface.hardware != _ETHERNET:
            return f"{interface.name} is no Ethernet interface"
    try:
        with ExitStack() as attempt:
            program = ground.maps.load(rung)
            attempt.callback(os.close, program)
            prove(ground.maps, program, rung, ground.port)
            names = attach(attempt, program, rung, ground.interfaces, ground.directory)
            stack.enter_context(attempt.pop_all())
    except (OSError, KernelPathError) as error:
        return str(error)
    return names


def _detach_others(ground: Ground, kept: frozenset[str]) -> None:
    try:
        detach_others(ground.directory, kept)
    except OSError as error:
        log.warning("cannot detach what was attached before", reason=str(error))
