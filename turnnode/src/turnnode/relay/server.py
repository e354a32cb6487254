"""The TURN server at work: sockets on the event loop, around the machine that decides.

    listening sockets ──▶ machine ──▶ relay sockets        (and back, and across)
                 clock ──▶    ▲ policy changes, a sweep each second

For: the daemon, which binds the listening sockets and hands them in.
Not for: settings, the channel to the control plane, or deciding anything.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

from turnnode.relay.allocation import Side
from turnnode.relay.counters import RelayCounters
from turnnode.relay.data_path import DataPath, UserspaceDataPath
from turnnode.relay.machine import TurnMachine
from turnnode.relay.peer_policy import OwnAddresses
from turnnode.relay.policy import RelayPolicyHolder
from turnnode.relay.sockets import (
    LISTENER_BUFFER_BYTES,
    DatagramOutlet,
    PortRange,
    RelayAddress,
    RelaySocket,
    RelaySockets,
    address_of,
    build_reader,
)

SWEEP_SECONDS = 1
NONCE_KEY_BYTES = 32


class TurnServer:
    """Serves TURN over UDP.

    Args:
        listeners: Bound UDP sockets, one for each address to listen on; IPv6 ones with `IPV6_V6ONLY`. They
            stay the caller's, who closes them.
        relay_addresses: Where to relay from; at least one.
        policy: What may be decided; replaced, it holds at once.
        ports: The ports to relay from.
        data_path: Told of each bound channel.
        clock: Seconds that only grow: all lifetimes but those of credentials.
        calendar: Unix seconds, which may step: credentials end by them.
        sweep_seconds: How often what is over is swept away.
    """

    def __init__(  # noqa: PLR0913 - each is a part that the daemon or a test decides
        self,
        *,
        listeners: Sequence[socket.socket],
        relay_addresses: Sequence[RelayAddress],
        policy: RelayPolicyHolder,
        ports: PortRange | None = None,
        data_path: DataPath | None = None,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self.counters = RelayCounters()
        self._listeners = tuple(listeners)
        self._policy = policy
        self._clock = clock
        self._sweep_seconds = sweep_seconds
        own_hosts = {host for address in relay_addresses for host in (address.bound, address.published)}
        self._machine = TurnMachine(
            policy=policy,
            ports=RelaySockets(
                addresses=relay_addresses,
                ports=ports or PortRange(),
                counters=self.counters,
                opened=self._watch_relay,
                closed=self._unwatch,
            ),
            own=OwnAddresses(
                listeners=frozenset(map(address_of, self._listeners)), relay_hosts=frozenset(own_hosts)
            ),
            data_path=data_path or UserspaceDataPath(),
            nonce_key=os.urandom(NONCE_KEY_BYTES),
            counters=self.counters,
            calendar=calendar,
        )

    async def start(self, stack: AsyncExitStack) -> None:
        """Serve until `stack` unwinds; then all allocations end."""
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(self._machine.close)
        stack.callback(self._policy.watch(self._machine.apply_policy))
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            self._watch_listener(listener)
            stack.callback(loop.remove_reader, listener)
        sweep = group.create_task(self._sweep())
        stack.callback(sweep.cancel)

    def _watch_listener(self, listener: socket.socket) -> None:
        listener.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LISTENER_BUFFER_BYTES)
        side = Side(address_of(listener), DatagramOutlet(listener, self.counters))
        reader = build_reader(listener, partial(self._machine.from_client, side), self._clock)
        asyncio.get_running_loop().add_reader(listener, reader)

    def _watch_relay(self, relay: RelaySocket) -> None:
        reader = build_reader(relay.socket, partial(self._machine.from_peer, relay.published), self._clock)
        asyncio.get_running_loop().add_reader(relay.socket, reader)

    def _unwatch(self, relay: RelaySocket) -> None:
        asyncio.get_running_loop().remove_reader(relay.socket)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_seconds)
            self._machine.expire(self._clock())
