"""How long a packet takes to the peer and back.

For: kernel.py, by a channel of the node and, to compare, forwarded by its host.
Not for: loads (trials.py).
"""

import statistics
import threading
import time
from typing import Final

from support.kernel_network import CLIENT, PEER, KernelClient, KernelNetwork
from turnnode.stun.attributes import Address

ROUND_TRIPS: Final = 3000
_CHANNEL: Final = 0x4000


def round_trip_us(network: KernelNetwork, node: Address | None) -> float:
    """Measure round trips to the peer, by a channel of the node or, without one, forwarded by its host.

    A tenth is as fast as the result: the others waited for processors that had something else to do.
    """
    peer = network.bind("peer", (PEER, 7000))
    is_over = threading.Event()

    def echo() -> None:
        peer.settimeout(0.2)
        while not is_over.is_set():
            try:
                data, source = peer.recvfrom(2048)
            except TimeoutError:
                continue
            peer.sendto(data, source)

    thread = threading.Thread(target=echo)
    thread.start()
    if node is None:
        sender, target, data = network.bind("client", (CLIENT, 7001)), (PEER, 7000), bytes(160)
    else:
        client = KernelClient(network, (CLIENT, 7001), node)
        client.allocate()
        client.bind(_CHANNEL, (PEER, 7000))
        sender, target, data = client.socket, node, _CHANNEL.to_bytes(2) + (160).to_bytes(2) + bytes(160)
    times = []
    for _ in range(ROUND_TRIPS):
        began_at = time.perf_counter_ns()
        sender.sendto(data, target)
        sender.recv(2048)
        times.append(time.perf_counter_ns() - began_at)
    is_over.set()
    thread.join()
    sender.close()
    peer.close()
    return statistics.quantiles(times, n=10)[0] / 1000
