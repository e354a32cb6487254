"""A program that the kernel has loaded, and its maps, to run it on frames that no interface has received.

For: unit tests of the programs; root.
Not for: programs at an interface (kernel_network.py).
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from turnnode.kernel.layout import RELAYED_WORD, STATE_WORDS, pack_control, split_relayed
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.rungs import Rung
from turnnode.kernel.system_call import run_program

PORT: Final = 3478
FOREVER_NS: Final = 1 << 62


@dataclass(frozen=True)
class Loaded:
    maps: RelayMaps
    program: int
    rung: Rung

    def verdict_of(self, frame: bytes) -> int:
        return run_program(self.program, frame).verdict

    def set_lease(self, until_ns: int) -> None:
        self.maps.control.write(0, pack_control(lease_until_ns=until_ns, ports=(PORT,)))

    @property
    def state(self) -> int:
        """Tell where the words of the trial's flow begin."""
        return (self.maps.states.entries - 1) * STATE_WORDS

    def read_relayed(self) -> tuple[int, int]:
        """Tell how many packets and octets the flow of the trial has relayed."""
        return split_relayed(self.maps.states.words[self.state + RELAYED_WORD])


@contextmanager
def load(rung: Rung) -> Iterator[Loaded]:
    """Have a rung's program in the kernel until the block ends, with a lease that does not."""
    with ExitStack() as stack:
        maps = RelayMaps.create(stack, entries=16)
        loaded = Loaded(maps, maps.load(rung), rung)
        stack.callback(os.close, loaded.program)
        loaded.set_lease(FOREVER_NS)
        yield loaded
