"""Watch the first calls on a rung that has just been attached: their data must go through the kernel.

    attached ─▶ untried ── the kernel has relayed something ──▶ proved, for good
                   └── it has not, and data of flows that it has arrives in userspace again and again ──▶ dead

For: what no proof without a network can show: that frames really come by the program. A driver may hide them,
another program may be first, sums may be left to a card which is none.
Not for: single flows; of a live rung, some packets always go by userspace.
"""

from collections.abc import Callable
from typing import Final

MAX_STRAY_SAMPLES: Final = 8


class Canary:
    """Judges one rung; asked with one datagram of channel data in 32 that userspace had to relay.

    Args:
        relayed: Tells how many packets the kernel has relayed since the rung was attached.
    """

    def __init__(self, relayed: Callable[[], int]) -> None:
        self._relayed = relayed
        self._strays = 0
        self.is_proved = False

    def is_dead(self, *, is_ready: bool) -> bool:
        """Tell whether the rung does nothing, once there is enough to say so.

        `is_ready`: the kernel has the datagram's flow and its next hop, and so should have relayed it.
        """
        if self.is_proved or not is_ready:
            return False
        if self._relayed() > 0:
            self.is_proved = True
            return False
        self._strays += 1
        return self._strays >= MAX_STRAY_SAMPLES
