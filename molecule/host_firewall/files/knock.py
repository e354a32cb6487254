"""Write as JSON which ports let somebody in at every address that is named.

    knock.py PORT,PORT,… ADDRESS …

Silence is what a firewall gives; a port that refuses is not silent, and counts as open.
"""

import json
import socket
import sys

SILENCE_SECONDS = 1


def is_open(kind: socket.SocketKind, address: str, port: int) -> bool:
    """Tell whether anything comes back."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as client:
        client.settimeout(SILENCE_SECONDS)
        try:
            client.connect((address, port))
            if kind == socket.SOCK_DGRAM:
                client.send(b"knock")
                client.recv(100)
        except TimeoutError:
            return False
        except OSError:
            return True
    return True


def main() -> None:
    """Knock everywhere."""
    ports = [int(port) for port in sys.argv[1].split(",")]
    found = {
        name: [port for port in ports if all(is_open(kind, address, port) for address in sys.argv[2:])]
        for name, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM))
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
