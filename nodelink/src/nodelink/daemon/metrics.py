"""Offer a daemon's metrics to Prometheus, on loopback only."""

from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry, start_http_server

from nodelink.daemon.listeners import ListenError

LOOPBACK = "127.0.0.1"


def serve_metrics(stack: AsyncExitStack, registry: CollectorRegistry, port: int | None) -> None:
    """Serve `registry` until the stack unwinds; do nothing where `port` is `None`.

    Raises:
        ListenError: The port is taken.
    """
    if port is None:
        return
    try:
        server, thread = start_http_server(port, LOOPBACK, registry)
    except OSError as error:
        raise ListenError(f"Cannot serve metrics on {LOOPBACK} port {port}: {error.strerror}.") from error
    stack.callback(thread.join)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
