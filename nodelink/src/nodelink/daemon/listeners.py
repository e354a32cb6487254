"""Open listening sockets so that a restart of the daemon refuses no connection.

For: TCP and UDP sockets that the service manager keeps while the process is replaced.
Not for: serving them; whoever asked for a socket does that.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from nodelink.daemon.errors import HostError
from nodelink.daemon.service_manager import ServiceManager

BACKLOG = 1024
UDP_BUFFER_BYTES = 4 << 20


class ListenError(HostError):
    """A socket cannot be opened; the text says which and why."""


def listen_tcp(
    manager: ServiceManager, name: str, addresses: Sequence[str], port: int
) -> list[socket.socket]:
    """Listen on a port of each address, or take over the sockets that a former process listened with.

    Raises:
        ListenError: An address is not this host's, or the port is taken or not permitted.
    """
    return _open(manager, f"{name}-{port}", addresses, port, socket.SOCK_STREAM)


def bind_udp(manager: ServiceManager, name: str, addresses: Sequence[str], port: int) -> list[socket.socket]:
    """Bind a UDP port of each address, or take over the sockets of a former process. Raises: ListenError."""
    return _open(manager, f"{name}-{port}", addresses, port, socket.SOCK_DGRAM)


def take_other_ports(
    manager: ServiceManager, name: str, addresses: Sequence[str]
) -> dict[int, list[socket.socket]]:
    """Take what a former process has left of a service's other ports, as far as it is on these addresses."""
    wanted = {str(ip_address(address)) for address in addresses}
    taken: dict[int, list[socket.socket]] = {}
    for kept_name in manager.list_inherited():
        match = re.fullmatch(f"{re.escape(name)}-([0-9]{{1,5}})", kept_name)
        if match is None:
            continue
        fitting = []
        sockets = manager.take_inherited(kept_name)
        for kept in sockets:
            if kept.getsockname()[0] in wanted:
                kept.setblocking(False)  # noqa: FBT003 - the library's signature
                fitting.append(kept)
            else:
                kept.close()
        if len(fitting) < len(sockets):
            manager.let_go(kept_name)
            manager.keep(kept_name, fitting)
        if fitting:
            taken[int(match[1])] = fitting
    return taken


def stop_keeping(manager: ServiceManager, name: str, port: int) -> None:
    """Have a service's sockets of a port kept no longer; whoever holds them closes them."""
    manager.let_go(f"{name}-{port}")


def _open(
    manager: ServiceManager, name: str, addresses: Sequence[str], port: int, kind: socket.SocketKind
) -> list[socket.socket]:
    wanted = [str(ip_address(address)) for address in addresses]
    inherited = {kept.getsockname()[0]: kept for kept in manager.take_inherited(name)}
    opened: list[socket.socket] = []
    for address in wanted:
        kept = inherited.pop(address, None)
        if kept is None:
            try:
                kept = _bind(address, port, kind)
            except ListenError:  # the port may be left alone then: no half of it stays open
                for socket_of_it in (*opened, *inherited.values()):
                    socket_of_it.close()
                manager.let_go(name)
                raise
            manager.keep(name, [kept])
        kept.setblocking(False)  # noqa: FBT003 - the library's signature
        opened.append(kept)
    if inherited:  # addresses that nobody listens on any more: kept, they would take what nobody serves
        for unwanted in inherited.values():
            unwanted.close()
        manager.let_go(name)
        manager.keep(name, opened)
    return opened


def _bind(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Without the protocol's number, asyncio does not recognise TCP and leaves Nagle's algorithm on.
    protocol = socket.IPPROTO_TCP if kind == socket.SOCK_STREAM else socket.IPPROTO_UDP
    bound = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
        bound.bind((address, port))
        if kind == socket.SOCK_STREAM:
            bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ListenError(f"Cannot listen on {address} port {port}: {error.strerror}.") from error
    return bound
