"""Keeps relay sockets for the next server of a test, as a service manager does for the next process."""

import os
import socket


class KeptSockets:
    """What is kept; each server gets descriptors of its own."""

    def __init__(self) -> None:
        self.kept: dict[str, socket.socket] = {}
        self._made = 0

    def take_inherited(self) -> list[tuple[str, socket.socket]]:
        return [(name, duplicate(one)) for name, one in self.kept.items()]

    def keep(self, sock: socket.socket) -> str | None:
        self._made += 1
        name = f"r{self._made}"
        self.kept[name] = duplicate(sock)
        return name

    def let_go(self, name: str) -> None:
        self.kept.pop(name).close()

    def close(self) -> None:
        for one in self.kept.values():
            one.close()


def duplicate(sock: socket.socket) -> socket.socket:
    """Return the same socket with another descriptor."""
    return socket.socket(fileno=os.dup(sock.fileno()))
