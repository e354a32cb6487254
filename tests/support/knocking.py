"""Clients that connect again and again, one at each port, while an operator restarts what is behind.

    connect ─▶ TLS, where the port begins with it ─▶ request, where it is HTTP's ─▶ greeting ─▶ close

Each client has one connection at a time. A process that ends may hang up on that one, and on no other.
For: tests in the lab's network.
"""

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Self

from support.deployed_fleet import ADDRESSES

KNOCK_SECONDS = 20
PAUSE_SECONDS = 0.01
REQUEST = b"GET / HTTP/1.1\r\nHost: knocking\r\nConnection: close\r\n\r\n"
GREETINGS = {
    25: b"220 ",
    80: b"HTTP/1.1 ",
    143: b"* OK ",
    443: b"HTTP/1.1 ",
    465: b"220 ",
    587: b"220 ",
    993: b"* OK ",
}
TLS_PORTS = {443, 465, 993}
FAREWELLS = (b"421 ", b"* BYE ")
HANGING_UP = (ConnectionResetError, BrokenPipeError, EOFError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""How a client hears that a connection which it had was ended."""


class Knocking:
    """The clients, and what became of their connections, by port."""

    def __init__(self, host: str, ports: Sequence[int]) -> None:
        self.greeted: Counter[int] = Counter()
        self.hung_up: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self._address = ADDRESSES[host]
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._knock, args=(port,)) for port in ports]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        greeted, hung_up = self.greeted.total(), self.hung_up.total()
        return f"{greeted} greeted, {hung_up} hung up on, other failures: {dict(self.failures)}"

    def _knock(self, port: int) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the lab's certificate is its own
        while not self._is_over.is_set():
            try:
                answer = self._hear(port, context)
            except HANGING_UP:
                self.hung_up[port] += 1
            except OSError as error:
                self.failures[f"{port}: {error!r}"] += 1
            else:
                self._judge(port, answer)
            time.sleep(PAUSE_SECONDS)

    def _hear(self, port: int, context: ssl.SSLContext) -> bytes:
        with socket.create_connection((self._address, port), KNOCK_SECONDS) as plain:
            if port not in TLS_PORTS:
                return _hear_greeting(plain, port)
            with context.wrap_socket(plain) as secured:
                return _hear_greeting(secured, port)

    def _judge(self, port: int, answer: bytes) -> None:
        if not answer or answer.startswith(FAREWELLS):
            self.hung_up[port] += 1
        elif answer.startswith(GREETINGS[port]) and not answer.startswith(b"HTTP/1.1 5"):
            self.greeted[port] += 1
        else:
            self.failures[f"{port}: {answer[:40]!r}"] += 1


def _hear_greeting(client: socket.socket, port: int) -> bytes:
    if GREETINGS[port].startswith(b"HTTP"):
        client.sendall(REQUEST)
    return client.recv(1024)
