"""Answer on every port that is named, by TCP and by UDP, over IPv4 and IPv6, until it is ended."""

import selectors
import socket
import sys


def main() -> None:
    """Accept and close, or send back what comes."""
    selector = selectors.DefaultSelector()
    for port in map(int, sys.argv[1:]):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener = socket.socket(socket.AF_INET6, kind)  # the kernel takes IPv4 at it as well
            listener.bind(("::", port))
            if kind == socket.SOCK_STREAM:
                listener.listen()
            selector.register(listener, selectors.EVENT_READ, kind)
    while True:
        for key, _ in selector.select():
            listener = key.fileobj
            if key.data == socket.SOCK_STREAM:
                listener.accept()[0].close()
            else:
                content, sender = listener.recvfrom(100)
                listener.sendto(content, sender)


if __name__ == "__main__":
    main()
