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
from collections.abc import Sequence

BATCH = 1536
OPEN_FILES = 16_384  # ten addresses are scanned at the same time
ANSWER_SECONDS = 0.7
BINDING_REQUEST = bytes.fromhex("000100002112a442")


def find_open_ports(kind: socket.SocketKind, address: str, ports: Sequence[int]) -> list[int]:
    """Try every port once, thousands at a time, and what answered a second time; UDP by a STUN request.

    Linux tells of a closed UDP port once a second and host, after a few at once: of many openings at which
    nobody listens, not all are found.
    """
    _raise_file_limit()
    batches = (ports[first : first + BATCH] for first in range(0, len(ports), BATCH))
    found = [port for batch in batches for port in _knock(kind, address, batch)]
    return sorted(_knock(kind, address, found))


def _knock(kind: socket.SocketKind, address: str, ports: Sequence[int]) -> list[int]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    clients: dict[int, tuple[int, socket.socket]] = {}
    found = []
    poll = select.poll()
    try:
        for port in ports:
            client = socket.socket(family, kind)
            client.setblocking(False)  # noqa: FBT003 - the library's signature
            clients[client.fileno()] = port, client
            if client.connect_ex((address, port)) not in {0, errno.EINPROGRESS}:
                raise OSError(f"cannot even try port {port}")
            if kind == socket.SOCK_DGRAM:
                client.send(BINDING_REQUEST + secrets.token_bytes(12))
            poll.register(client, select.POLLIN if kind == socket.SOCK_DGRAM else select.POLLOUT)
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
