"""The TURN server at work: sockets on the event loop, around the machine that decides.

    listening sockets ──▶ machine ──▶ relay sockets        (and back, and across)
                 clock ──▶    ▲ policy changes, a sweep each second

    built: takes over the calls of a former process ─▶ start: reads ─▶ leave: reads no more, and ends no call

    move: new clients are served on other sockets, and sent there from the former ones; those go on for the
          calls that they have, and for a day: apps keep the address that they were told for about as long

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

from turnnode.relay.adoption import adopt_allocations
from turnnode.relay.allocation import Side
from turnnode.relay.connections import ConnectionCount
from turnnode.relay.counters import RelayCounters
from turnnode.relay.data_path import DataPath, UserspaceDataPath
from turnnode.relay.datagram_batch import DatagramBatch
from turnnode.relay.dues import Dues
from turnnode.relay.journal_format import NONCE_KEY_BYTES
from turnnode.relay.machine import TurnMachine
from turnnode.relay.memory import AllocationMemory, NoKeeper, NoMemory, SocketKeeper
from turnnode.relay.peer_policy import OwnAddresses
from turnnode.relay.policy import RelayPolicyHolder
from turnnode.relay.ports import PortRange
from turnnode.relay.readers import Decide, Lane, Reader, build_error_reader
from turnnode.relay.relay_poll import RelayPoll
from turnnode.relay.shared_reading import SharedReading
from turnnode.relay.sockets import (
    LISTENER_BUFFER_BYTES,
    DatagramOutlet,
    RelayAddress,
    RelaySocket,
    RelaySockets,
    address_of,
)
from turnnode.relay.streams import StreamDoor, StreamListener
from turnnode.relay.usage import UsageTable
from turnnode.stun.attributes import Address

SWEEP_SECONDS = 1
FORWARD_SECONDS = 86_400


class TurnServer:
    """Serves TURN over UDP, and to clients that cannot use it, over TCP and TLS.

    Args:
        listeners: Bound UDP sockets, one or more for each address to listen on; IPv6 ones with `IPV6_V6ONLY`.
            They stay the caller's, who closes them. Former ones send clients to the first of an address.
        former: Those that a former process listened on, and on which it may have calls.
        left: Called with a former socket that nobody needs any more; it is not touched after that.
        forward_seconds: How long former sockets send new clients on.
        streams: Listening TCP sockets, with or without TLS; the caller's, too.
        relay_addresses: Where to relay from; at least one.
        policy: What may be decided; replaced, it holds at once.
        ports: The ports to relay from.
        data_path: Told of each bound channel.
        may_join: Tells whether the kernel may put datagrams of one sender together (UDP_GRO): then they are
            not seen one by one by programs of TC or generic XDP.
        memory, keeper: Remember calls and keep their sockets for the next process.
        dues: What memory and data path put off until answers go out.
        rest_room: How many relay sockets of an address may stay open between two owners.
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
        former: Sequence[socket.socket] = (),
        left: Callable[[socket.socket], None] = socket.socket.close,
        forward_seconds: float = FORWARD_SECONDS,
        streams: Sequence[StreamListener] = (),
        ports: PortRange | None = None,
        data_path: DataPath | None = None,
        may_join: Callable[[], bool] = lambda: True,
        memory: AllocationMemory | None = None,
        keeper: SocketKeeper | None = None,
        dues: Dues | None = None,
        rest_room: int = 0,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self.counters = RelayCounters()
        self._policy = policy
        self._memory = memory or NoMemory()
        self._dues = dues or Dues()
        self._clock = clock
        self._may_join = may_join
        self._sweep_seconds = sweep_seconds
        self._is_reading = False
        self._sweep_task: asyncio.Task[None] | None = None
        self._left = left
        self._relay_hosts = frozenset(
            host for address in relay_addresses for host in (address.bound, address.published)
        )
        self._sides: dict[socket.socket, Side] = {}
        self._forward_seconds = forward_seconds
        self._forwarded_until: dict[socket.socket, float] = {}
        for listener in (*former, *listeners):
            self._sides[listener] = Side(address_of(listener), DatagramOutlet(listener, self.counters))
        self._point(listeners)
        self._batches = {family: DatagramBatch(family) for family in (socket.AF_INET, socket.AF_INET6)}
        self._ports = RelaySockets(
            addresses=relay_addresses,
            ports=ports or PortRange(),
            counters=self.counters,
            keeper=keeper or NoKeeper(),
            opened=self._watch_relay,
            closed=self._unwatch,
            rest_room=rest_room,
        )
        recollection = self._memory.recall()
        self._nonce_key = recollection.nonce_key or os.urandom(NONCE_KEY_BYTES)
        self._machine = TurnMachine(
            policy=policy,
            ports=self._ports,
            own=self._tell_own(),
            data_path=data_path or UserspaceDataPath(),
            nonce_key=self._nonce_key,
            counters=self.counters,
            memory=self._memory,
            calendar=calendar,
        )
        self._relay_polls = {
            family: RelayPoll(SharedReading(batch, self._machine.ways, clock=clock, dues=self._dues).read)
            for family, batch in self._batches.items()
        }
        count = ConnectionCount()
        self._doors = [
            StreamDoor(
                stream,
                self._machine,
                counters=self.counters,
                count=count,
                limit=lambda: policy.current.connections,
                clock=clock,
            )
            for stream in streams
        ]
        adopt_allocations(
            recollection.allocations.values(),
            sides={side.address: side for side in self._sides.values()},
            ports=self._ports,
            machine=self._machine,
            now=clock(),
        )

    @property
    def usages(self) -> UsageTable:
        """What credentials have used."""
        return self._machine.usages

    @property
    def connections(self) -> int:
        """How many clients are connected by TCP or TLS."""
        return sum(len(door.connections) for door in self._doors)

    async def start(self, stack: AsyncExitStack) -> None:
        """Serve until `stack` unwinds; the allocations are then left to the next process."""
        group = await stack.enter_async_context(asyncio.TaskGroup())
        self._memory.begin(self._nonce_key, self._machine.list_allocations())
        self._apply_policy()
        stack.callback(self._memory.close)
        for poll in self._relay_polls.values():
            poll.start(stack)
        stack.callback(self._ports.leave)
        stack.callback(self._policy.watch(self._apply_policy))
        self._is_reading = True
        for listener, side in self._sides.items():
            self._watch_listener(listener, side)
        for relay in self._ports.list_open():
            self._watch_relay(relay)
        for door in self._doors:
            await door.start(stack)
        self._sweep_task = group.create_task(self._sweep())
        stack.callback(self.leave)

    def move(self, listeners: Sequence[socket.socket]) -> None:
        """Serve new clients on these sockets, perhaps former ones; calls go on where they are."""
        for listener in listeners:
            if listener not in self._sides:
                side = Side(address_of(listener), DatagramOutlet(listener, self.counters))
                self._sides[listener] = side
                if self._is_reading:
                    self._watch_listener(listener, side)
        self._point(listeners)
        self._machine.replace_own(self._tell_own())
        self._dues.settle()

    def leave(self) -> None:
        """Read from no socket any more, at once: another process does."""
        if not self._is_reading:
            return
        self._is_reading = False
        loop = asyncio.get_running_loop()
        for listener in self._sides:
            loop.remove_reader(listener)
        for poll in self._relay_polls.values():
            poll.stop()
        for door in self._doors:
            door.leave()
        if self._sweep_task is not None:
            self._sweep_task.cancel()

    def _point(self, listeners: Sequence[socket.socket]) -> None:
        """Let all other sockets send new clients to these."""
        addresses: dict[str, Address] = {}
        for address in map(address_of, listeners):
            addresses.setdefault(address[0], address)  # the first of a host is the port that was moved
        for listener, side in self._sides.items():
            if listener in listeners:
                side.successor = None
                self._forwarded_until.pop(listener, None)
            else:
                side.successor = addresses.get(side.address[0], address_of(listeners[0]))
                self._forwarded_until.setdefault(listener, self._clock() + self._forward_seconds)

    def _tell_own(self) -> OwnAddresses:
        return OwnAddresses(
            listeners=frozenset(side.address for side in self._sides.values()), relay_hosts=self._relay_hosts
        )

    def _give_back(self, now: float) -> None:
        """Be done with former sockets that have no call and have sent clients on for long enough."""
        done = [
            listener
            for listener, until in self._forwarded_until.items()
            if until <= now and not self._sides[listener].allocations
        ]
        for listener in done:
            asyncio.get_running_loop().remove_reader(listener)
            del self._sides[listener], self._forwarded_until[listener]
            self._left(listener)
        if done:
            self._machine.replace_own(self._tell_own())
            self._dues.settle()

    def _watch_listener(self, listener: socket.socket, side: Side) -> None:
        listener.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LISTENER_BUFFER_BYTES)
        ways = self._machine.ways
        decide, find = partial(self._machine.from_client, side), partial(ways.find_from_client, side)
        outlet = side.outlet if isinstance(side.outlet, DatagramOutlet) else None
        lane = Lane(ways, find, is_from_clients=True, outlet=outlet)
        reader = self._build_reader(listener, decide, lane)
        asyncio.get_running_loop().add_reader(listener, reader.read)

    def _watch_relay(self, relay: RelaySocket) -> None:
        if not self._is_reading:
            return
        ways = self._machine.ways
        decide, find = partial(self._machine.from_peer, relay.published), ways.find_from_peer
        lane = Lane(ways, lambda _, peer: find(relay.published, peer), is_from_clients=False)
        reader = self._build_reader(relay.socket, decide, lane)
        errors = build_error_reader(
            relay.socket, partial(self._machine.from_network, relay.published), self._clock
        )
        self._poll_of(relay).add(relay.socket, reader, errors)

    def _build_reader(self, sock: socket.socket, decide: Decide, lane: Lane) -> Reader:
        batch = self._batches[socket.AddressFamily(sock.family)]
        return Reader(
            sock,
            decide,
            clock=self._clock,
            dues=self._dues,
            batch=batch,
            lane=lane,
            joins=self._may_join(),
        )

    def _unwatch(self, relay: RelaySocket) -> None:
        self._poll_of(relay).remove(relay.socket)

    def _poll_of(self, relay: RelaySocket) -> RelayPoll:
        return self._relay_polls[socket.AddressFamily(relay.socket.family)]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_seconds)
            now = self._clock()
            self._machine.expire(now)
            self._dues.settle()
            self._give_back(now)
            for door in self._doors:
                door.sweep(now)

    def _apply_policy(self) -> None:
        self._machine.apply_policy()
        self._dues.settle()
