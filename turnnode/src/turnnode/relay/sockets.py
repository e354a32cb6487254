"""Open the UDP sockets that relay, and move datagrams between sockets and the machine.

For: system calls, in as few instructions as possible: one of each per packet.
Not for: decisions (machine.py).

Reading straight from a socket that became readable, many datagrams at a time, costs less under uvloop than a
datagram transport (7 % of the whole packet when loaded), and needs the time only once.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from turnnode.relay.counters import RelayCounters
from turnnode.relay.dues import Dues
from turnnode.relay.machine import Send
from turnnode.relay.memory import SocketKeeper
from turnnode.relay.ports import PortPool, PortRange
from turnnode.relay.resting import RestingSockets
from turnnode.stun.attributes import FAMILY_IPV4, FAMILY_IPV6, Address, family_of

MAX_DATAGRAM_BYTES: Final = 4096  # calls stay below 1,500; what fills the buffer may be cut, and is dropped
BATCH_DATAGRAMS: Final = 64  # read from one socket before the others get their turn
RELAY_BUFFER_BYTES: Final = 1 << 20
LISTENER_BUFFER_BYTES: Final = 4 << 20
_MAX_BIND_ATTEMPTS = 64


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """An address to relay from: `bound` is on this machine, `published` is what clients are told.

    They differ behind a NAT that keeps ports.
    """

    bound: str
    published: str


class DatagramOutlet:
    """Sends from one socket; what the system does not take at once is lost, as datagrams are."""

    def __init__(self, sock: socket.socket, counters: RelayCounters) -> None:
        self._sendto = sock.sendto
        self._counters = counters

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or lose it: no buffer, no route, too large, forbidden by a firewall."""
        try:
            self._sendto(data, address)
        except OSError:
            self._counters.dropped_unsent += 1


class RelaySocket(DatagramOutlet):
    """An open relay port; `name` is what the keeper calls it, if it is kept."""

    def __init__(
        self,
        sock: socket.socket,
        published_host: str,
        counters: RelayCounters,
        given_back: Callable[["RelaySocket"], None],
        name: str | None,
    ) -> None:
        super().__init__(sock, counters)
        self.socket = sock
        self.name = name
        self.bound: Address = address_of(sock)
        self.published: Address = (published_host, self.bound[1])
        self._given_back = given_back

    def close(self) -> None:
        """Give the port back."""
        self._given_back(self)


class RelaySockets:
    """Opens relay ports, on the first address of a family that has one free, in an order nobody can guess.

    Those of a former process are claimed one by one before the first is opened; see adoption.py.

    Args:
        addresses: Where to relay from.
        ports: The ports to use.
        counters: Counts what could not be sent.
        keeper: Keeps the sockets beyond this process.
        opened, closed: Called with each socket after it opens and before it closes.
        rest_room: How many sockets of an address may stay open without an owner; see resting.py.
    """

    def __init__(  # noqa: PLR0913 - each is a part that a test replaces
        self,
        *,
        addresses: Sequence[RelayAddress],
        ports: PortRange,
        counters: RelayCounters,
        keeper: SocketKeeper,
        opened: Callable[[RelaySocket], None],
        closed: Callable[[RelaySocket], None],
        rest_room: int = 0,
    ) -> None:
        self._addresses = tuple(addresses)
        self._counters = counters
        self._keeper = keeper
        self._opened = opened
        self._closed = closed
        self._live: set[RelaySocket] = set()
        self._unclaimed: dict[Address, RelaySocket] = {}
        self._unfit: list[tuple[str, socket.socket]] = []
        self._sort_inherited(ports)
        self._resting: dict[str, RestingSockets[RelaySocket]] = {
            address.bound: RestingSockets(rest_room) for address in self._addresses
        }
        self._pools: dict[str, PortPool] = {}
        for address in self._addresses:
            taken = {port for host, port in self._unclaimed if host == address.bound}
            self._pools[address.bound] = PortPool(ports, taken)

    def list_open(self) -> list[RelaySocket]:
        """List the sockets that are open, in use or resting."""
        return [*self._live, *(relay for resting in self._resting.values() for relay in resting.list_all())]

    def supports(self, family: int) -> bool:
        """Tell whether there is a relay address of this family."""
        return any(family_of(address.bound) == family for address in self._addresses)

    def open(self, family: int) -> RelaySocket | None:
        """Open a socket; `None` when no port of the family is free."""
        for address in self._addresses:
            if family_of(address.bound) != family:
                continue
            resting = self._resting[address.bound]
            relay = resting.draw() or self._open_one(address, family) or resting.draw(is_last_resort=True)
            if relay is not None:
                self._live.add(relay)
                return relay
        return None

    def claim(self, bound: Address, published: Address) -> RelaySocket | None:
        """Go on with a socket of a former process; `None` if there is none that fits the settings of now."""
        relay = self._unclaimed.get(bound)
        if relay is None or relay.published != published:
            return None
        del self._unclaimed[bound]
        self._live.add(relay)
        self._opened(relay)
        return relay

    def drop_unclaimed(self) -> int:
        """Close what a former process has left and nobody has claimed; return how many sockets that were."""
        dropped = len(self._unclaimed) + len(self._unfit)
        for relay in self._unclaimed.values():
            self._close(relay)
        for name, sock in self._unfit:
            sock.close()
            self._keeper.let_go(name)
        self._unclaimed.clear()
        self._unfit.clear()
        return dropped

    def leave(self) -> None:
        """Close this process's sockets without giving the ports back: they are the next process's."""
        for relay in self.list_open():
            self._closed(relay)
            relay.socket.close()
        self._live.clear()
        for address in self._addresses:
            self._resting[address.bound] = RestingSockets(0)

    def _sort_inherited(self, ports: PortRange) -> None:
        """Look which sockets of a former process fit."""
        published_hosts = {address.bound: address.published for address in self._addresses}
        for name, sock in self._keeper.take_inherited():
            host, port = address_of(sock)
            is_fit = host in published_hosts and ports.first <= port <= ports.last
            if not is_fit or (host, port) in self._unclaimed:
                self._unfit.append((name, sock))
                continue
            sock.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name
            relay = RelaySocket(sock, published_hosts[host], self._counters, self._give_back, name)
            self._unclaimed[relay.bound] = relay

    def _open_one(self, address: RelayAddress, family: int) -> RelaySocket | None:
        sock = self._bind(address.bound, family)
        if sock is None:
            return None
        name = self._keeper.keep(sock)
        relay = RelaySocket(sock, address.published, self._counters, self._give_back, name)
        self._opened(relay)
        return relay

    def _bind(self, host: str, family: int) -> socket.socket | None:
        """Bind the next free port; one that another program holds is put aside and tried again later."""
        pool = self._pools[host]
        for _ in range(min(len(pool), _MAX_BIND_ATTEMPTS)):
            port = pool.draw()
            try:
                return bind_datagram(host, port, _SOCKET_FAMILIES[family])
            except OSError:
                pool.put_back(port)
        return None

    def _give_back(self, relay: RelaySocket) -> None:
        self._live.discard(relay)
        superfluous = self._resting[relay.bound[0]].take_in(relay)
        if superfluous is not None:
            self._close(superfluous)

    def _close(self, relay: RelaySocket) -> None:
        self._closed(relay)
        relay.socket.close()
        if relay.name is not None:
            self._keeper.let_go(relay.name)
        self._pools[relay.bound[0]].put_back(relay.bound[1])


def bind_datagram(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Return a bound, non-blocking UDP socket of one family.

    Raises:
        OSError: The port is taken, the address is not ours, or there are too many open files.
    """
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RELAY_BUFFER_BYTES)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def address_of(sock: socket.socket) -> Address:
    """Return a socket's own host and port."""
    host, port = sock.getsockname()[:2]
    return host, port


def build_reader(
    sock: socket.socket,
    decide: Callable[[bytes, Address, float], Send | None],
    clock: Callable[[], float],
    dues: Dues,
) -> Callable[[], None]:
    """Return what to call when `sock` is readable: it sends whatever `decide` makes of each datagram.

    What is due after grants is settled for all datagrams at once, and only then their answers go out.
    """
    receive_from = sock.recvfrom
    due = dues.waiting
    places = range(BATCH_DATAGRAMS)
    has_long_addresses = sock.family == socket.AF_INET6

    def read() -> None:
        waiting: list[Send] = []
        read_batch(waiting)
        if due:
            dues.settle()
        for outlet, data, address in waiting:
            outlet.send(data, address)

    def read_batch(waiting: list[Send]) -> None:
        now = clock()
        for _ in places:
            try:
                datagram, address = receive_from(MAX_DATAGRAM_BYTES)
            except OSError:  # nothing more to read, or an ICMP error that some datagram of ours met
                return
            if len(datagram) == MAX_DATAGRAM_BYTES:
                continue
            send = decide(datagram, address[:2] if has_long_addresses else address, now)
            if send is None:
                continue
            if due:
                waiting.append(send)
            else:
                outlet, data, address = send
                outlet.send(data, address)

    return read


_SOCKET_FAMILIES = {FAMILY_IPV4: socket.AF_INET, FAMILY_IPV6: socket.AF_INET6}
