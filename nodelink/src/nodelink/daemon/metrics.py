"""Offer a daemon's metrics to Prometheus, on loopback only."""

import socket
from contextlib import AsyncExitStack
from socketserver import ThreadingMixIn
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from nodelink.daemon.listeners import listen_tcp
from nodelink.daemon.service_manager import ServiceManager

LOOPBACK = "127.0.0.1"


def open_metrics(manager: ServiceManager, port: int | None) -> socket.socket | None:
    """Listen for Prometheus; `None` where `port` is `None`. Raises: ListenError."""
    return None if port is None else listen_tcp(manager, "metrics", [LOOPBACK], port)[0]


def serve_metrics(stack: AsyncExitStack, registry: CollectorRegistry, listener: socket.socket | None) -> None:
    """Serve `registry` in a thread until the stack unwinds; do nothing without a listener."""
    if listener is None:
        return
    server = _MetricsServer(listener, registry)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stack.callback(thread.join)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)


class _MetricsServer(ThreadingMixIn, WSGIServer):
    """Serves on a socket that listens already, which prometheus_client's own server cannot."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, registry: CollectorRegistry) -> None:
        super().__init__(listener.getsockname(), _SilentHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()
        self.setup_environ()
        self.set_app(make_wsgi_app(registry))


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
        """Log nothing."""
