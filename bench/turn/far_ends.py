"""Let the far ends of the cables collect what arrives before they receive it, as network cards do.

    not so:  each frame, or bulk of them, that is sent wakes who receives at the far end, on another processor
    so:      that looks for itself each few microseconds, and nobody pays for waking it

For: kernel.py. On a virtual machine, to wake another processor costs about as much as the rest of sending a
datagram; a server that sends one at a time pays it for each, a program of XDP for sixteen together.
Not for: round trips, which would wait for it.

Source: Documentation/networking/napi.rst, `gro_flush_timeout` and `napi_defer_hard_irqs`.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from support.kernel_network import KernelNetwork
from turn.packet_load import BATCH, MAX_BATCH

_FAR_ENDS: Final = (("client", "c0"), ("peer", "p0"))
_DEFERRED: Final = 2  # empty looks until the next frame has to wake again


@contextmanager
def far_ends_collect(network: KernelNetwork, microseconds: int) -> Iterator[None]:
    """Have them collect for so long; with 0, not at all."""
    _set(network, microseconds)
    try:
        yield
    finally:
        _set(network, 0)


def batch_of(microseconds: int) -> int:
    """Return how many frames a load needs at once: those that are being collected come back later."""
    return MAX_BATCH if microseconds else BATCH


def _set(network: KernelNetwork, microseconds: int) -> None:
    deferred = _DEFERRED if microseconds else 0
    for host, device in _FAR_ENDS:
        place = f"/sys/class/net/{device}"
        command = (
            f"echo {1000 * microseconds} > {place}/gro_flush_timeout; "
            f"echo {deferred} > {place}/napi_defer_hard_irqs"
        )
        subprocess.run(["ip", "netns", "exec", f"{network.name}-{host}", "sh", "-ec", command], check=True)
