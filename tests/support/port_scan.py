"""Find the ports that a firewall lets through: somebody answers there, or is said not to be there.

For: lab tests, in a client's namespace.
"""

import errno
import os
import resource
import secrets
import select
import socket
import time
from collections.abc import Iterable

BATCH = 1536
OPEN_FILES = 8192  # five machines are scanned at the same time
ANSWER_SECONDS = 0.7
UDP_ANSWER_SECONDS = 1.5  # Linux tells of a closed port once a second and host
BINDING_REQUEST = bytes.fromhex("000100002112a442")


def find_open_tcp_ports(address: str) -> list[int]:
    """Try every TCP port once, thousands at a time, and what answered a second time."""
    _raise_file_limit()
    found = [
        port
        for first in range(1, 65_536, BATCH)
        for port in _knock(address, range(first, min(first + BATCH, 65_536)))
    ]
    return sorted(_knock(address, found))


def find_open_udp_ports(address: str, ports: list[int]) -> list[int]:
    """Try UDP ports one after another with a STUN request."""
    found = []
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(UDP_ANSWER_SECONDS)
            client.connect((address, port))
            client.send(BINDING_REQUEST + secrets.token_bytes(12))
            try:
                client.recv(1500)
            except TimeoutError:
                continue  # the firewall drops
            except ConnectionRefusedError:
                pass  # it lets through to where nobody listens: an opening all the same
            found.append(port)
            time.sleep(1)
    return found


def _knock(address: str, ports: Iterable[int]) -> list[int]:
    clients: dict[int, tuple[int, socket.socket]] = {}
    found = []
    poll = select.poll()
    try:
        for port in ports:
            client = socket.socket()
            client.setblocking(False)  # noqa: FBT003 - the library's signature
            clients[client.fileno()] = port, client
            if client.connect_ex((address, port)) not in {0, errno.EINPROGRESS}:
                raise OSError(f"cannot even try port {port}")
            poll.register(client, select.POLLOUT)
        deadline = time.monotonic() + ANSWER_SECONDS
        while (rest := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(rest * 1000):
                found.append(clients[descriptor][0])
                poll.unregister(descriptor)
    finally:
        for _, client in clients.values():
            client.close()
    return found


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (OPEN_FILES, max(hard, OPEN_FILES) if os.geteuid() == 0 else hard)
        )
