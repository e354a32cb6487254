"""Open the UDP sockets that relay, and send by them.

For: system calls, in as few instructions as possible: one of each per packet.
Not for: reading (readers.py).
"""

import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from struct import Struct
from typing import Final

from turnnode.relay.counters import RelayCounters
from turnnode.relay.memory import SocketKeeper
from turnnode.relay.network_errors import collect_errors
from turnnode.relay.ports import PortPool, PortRange
from turnnode.relay.resting import RestingSockets
from turnnode.relay.tray import Tray
from turnnode.stun.attributes import FAMILY_IPV4, FAMILY_IPV6, Address, family_of

RELAY_BUFFER_BYTES: Final = 1 << 20
LISTENER_BUFFER_BYTES: Final = 4 << 20
_MAX_BIND_ATTEMPTS = 64
_UDP_SEGMENT, _SEGMENT = 103, Struct("=H")  # udp(7)
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 23, 3
_ERRORS_OF_EARLIER: Final = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EPROTO,
        errno.ENOPROTOOPT,
    }
)


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """An address to relay from: `bound` is on this machine, `published` is what clients are told.

    They differ behind a NAT that keeps ports.
    """

    bound: str
    published: str


class UnfragmentedOutlet:
    """Sends datagrams that routers must rather drop than divide (RFC 8656 section 14)."""

    def __init__(self, sock: socket.socket, counters: RelayCounters) -> None:
        self._socket = sock
        self._counters = counters
        is_ipv6 = sock.family == socket.AF_INET6
        self._level = socket.IPPROTO_IPV6 if is_ipv6 else socket.IPPROTO_IP
        self._option = _IPV6_MTU_DISCOVER if is_ipv6 else _IP_MTU_DISCOVER

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or lose it: this host divides none that is larger than its interface takes."""
        usual = self._socket.getsockopt(self._level, self._option)
        self._socket.setsockopt(self._level, self._option, _PMTUDISC_PROBE)
        try:
            self._socket.sendto(data, address)
        except OSError:
            self._counters.dropped_unsent += 1
        finally:
            self._socket.setsockopt(self._level, self._option, usual)

    def send_together(self, datagrams: Sequence[bytes], address: Address) -> None:
        """Send datagrams one by one."""
        for datagram in datagrams:
            self.send(datagram, address)


class DatagramOutlet:
    """Sends from one socket; what the system does not take at once is lost, as datagrams are.

    `sendto` is the system call itself, which raises OSError.
    """

    def __init__(self, sock: socket.socket, counters: RelayCounters) -> None:
        self.sendto: Final = sock.sendto
        self._sendmsg = sock.sendmsg
        self._counters = counters
        self._socket = sock

    @cached_property
    def tray(self) -> Tray:
        """The way to send many datagrams to different clients at once."""
        return Tray(self._socket, self._counters)

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or lose it: no buffer, no route, too large, forbidden by a firewall."""
        try:
            self.sendto(data, address)
        except OSError:
            self._counters.dropped_unsent += 1

    def send_together(self, datagrams: Sequence[bytes], address: Address) -> None:
        """Send datagrams of one size by one system call; one by one where the kernel cannot divide them.

        Not all interfaces can, and none if one of them would have to be fragmented.
        """
        size = _SEGMENT.pack(len(datagrams[0]))
        try:
            self._sendmsg(datagrams, ((socket.IPPROTO_UDP, _UDP_SEGMENT, size),), 0, address)
        except OSError:
            for datagram in datagrams:
                self.send(datagram, address)


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
        collect_errors(sock)
        self.socket = sock
        self.name = name
        self.bound: Address = address_of(sock)
        self.published: Address = (published_host, self.bound[1])
        self._given_back = given_back

    @property
    def unfragmented(self) -> UnfragmentedOutlet:
        """The same socket, for datagrams that routers must not divide."""
        return UnfragmentedOutlet(self.socket, self._counters)

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or lose it; once more, if the error is one that an earlier one has met."""
        try:
            self.sendto(data, address)
        except OSError as error:
            if error.errno in _ERRORS_OF_EARLIER:
                super().send(data, address)
            else:
                self._counters.dropped_unsent += 1

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

    def open_even(self, family: int, *, with_next: bool) -> tuple[RelaySocket, ...]:
        """Open a socket on an even port, and one on the port above if asked for; none without such ports."""
        for address in self._addresses:
            if family_of(address.bound) != family:
                continue
            socks = self._bind_even(address.bound, family, with_next=with_next)
            if not socks and self._end_rest(address.bound):
                socks = self._bind_even(address.bound, family, with_next=with_next)
            if socks:
                relays = tuple(self._begin(sock, address) for sock in socks)
                self._live.update(relays)
                return relays
        return ()

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
        return None if sock is None else self._begin(sock, address)

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

    def _bind_even(self, host: str, family: int, *, with_next: bool) -> list[socket.socket]:
        """Bind an even port, and the next if asked for; none where there are no such ports."""
        for _ in range(_MAX_BIND_ATTEMPTS):
            drawn = self._pools[host].draw_even(with_next=with_next)
            socks = self._bind_all(host, drawn, family)
            if socks or not drawn:
                return socks
        return []

    def _end_rest(self, host: str) -> bool:
        """Give the ports of resting sockets back to the pool; tell whether there were any."""
        resting = self._resting[host].list_all()
        self._resting[host].clear()
        for relay in resting:
            self._close(relay)
        return bool(resting)

    def _bind_all(self, host: str, drawn: tuple[int, ...], family: int) -> list[socket.socket]:
        """Bind all of some ports, or none, which are then put aside."""
        with ExitStack() as attempt:
            try:
                socks = [
                    attempt.enter_context(bind_datagram(host, port, _SOCKET_FAMILIES[family]))
                    for port in drawn
                ]
            except OSError:
                for port in drawn:
                    self._pools[host].put_back(port)
                return []
            attempt.pop_all()
            return socks

    def _begin(self, sock: socket.socket, address: RelayAddress) -> RelaySocket:
        name = self._keeper.keep(sock)
        relay = RelaySocket(sock, address.published, self._counters, self._give_back, name)
        self._opened(relay)
        return relay

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


_SOCKET_FAMILIES = {FAMILY_IPV4: socket.AF_INET, FAMILY_IPV6: socket.AF_INET6}
