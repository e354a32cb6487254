"""Climb to the fastest rung that works here.

    native XDP ─▶ TC ─▶ generic XDP ─▶ userspace      each is proved before it is used; `auto` takes the first
    a rung that was set ─▶ that one, or an error

For: the start of a node.
Not for: what the rungs do (bpf/), nor for leaving one while the node runs.
"""

import os
from collections.abc import Callable
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
        carriers: Those beneath them: of a VLAN, the interface that carries it; of all others, themselves.
        prepare: Called before a rung relays.
        port: Where clients are served.
        directory: In a BPF file system; `None` if there is none.
    """

    maps: RelayMaps
    interfaces: list[Interface]
    port: int
    directory: Path | None
    carriers: list[Interface]
    prepare: Callable[[Rung], None]

    def list_entrances(self, rung: Rung) -> list[Interface]:
        """List where a rung's program sees packets: native XDP is before the tags of VLANs are taken off."""
        return self.carriers if rung is Rung.XDP else self.interfaces


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
            log.info("relaying in the kernel", rung=rung, interfaces=_names(ground, rung))
            return rung
        if choice is not RungChoice.AUTO:
            raise RungUnavailableError(f"{rung} is not available: {came}")
        log.info("rung not available", rung=rung, reason=came)
    _detach_others(ground, frozenset())
    return Rung.USERSPACE


def _doubt(ground: Ground, rung: Rung) -> str | None:
    """Tell why a rung may lose packets although it can be attached."""
    for interface in ground.list_entrances(rung):
        if rung is Rung.XDP and interface.kind == "veth":
            return f"{interface.name} is half of a pair, whose other half may not take frames from XDP"
    for interface in ground.interfaces:
        if rung is Rung.XDP and interface.parent:
            return f"{interface.name} is a VLAN: set data_path to xdp to relay on what carries it"
    return None


def _try(stack: ExitStack, ground: Ground, rung: Rung) -> frozenset[str] | str:
    """Prove a rung and attach it; return the names of its pins, or why that does not work."""
    entrances = ground.list_entrances(rung)
    if not entrances:
        return "no interface has an address that this node uses"
    for interface in entrances:
        if interface.hardware != _ETHERNET:
            return f"{interface.name} is no Ethernet interface"
    try:
        with ExitStack() as attempt:
            program = ground.maps.load(rung)
            attempt.callback(os.close, program)
            prove(ground.maps, program, rung, ground.port)
            ground.prepare(rung)
            names = attach(attempt, program, rung, entrances, ground.directory)
            stack.enter_context(attempt.pop_all())
    except (OSError, KernelPathError) as error:
        return str(error)
    return names


def _names(ground: Ground, rung: Rung) -> list[str]:
    return [one.name for one in ground.list_entrances(rung)]


def _detach_others(ground: Ground, kept: frozenset[str]) -> None:
    try:
        detach_others(ground.directory, kept)
    except OSError as error:
        log.warning("cannot detach what was attached before", reason=str(error))
