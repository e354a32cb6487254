"""`POST /mxdeliv`, where other nodes of the fleet hand mail over, and servers of others.

For: the HTTPS server (http.express), which sends these paths past the framework of the pages: on a busy
node most requests are deliveries.
Not for: rules (door.py, inbound.py; those for others: mailnode.peering).

    /mxdeliv          one message, of a node of the fleet or of a peer
    /mxdeliv/batch    several, of a node of the fleet

Who shows an assertion is a node of the fleet, or nobody. Who may not is told that before anything of the
message is read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from mailnode.federation.batch import (
    BATCH_PATH,
    MAX_BATCH_BYTES,
    digest_batch,
    read_batch,
    write_answers,
    write_taken,
)
from mailnode.federation.delivery import DELIVERY_PATH, LARGE_MESSAGE_BYTES, read_headers, write_refused
from mailnode.federation.door import Door
from mailnode.federation.errors import DeliveryRefusedError, MalformedDeliveryError, TooLargeError
from mailnode.federation.inbound import Inbound
from mailnode.peering import http_entry
from mailnode.peering.reception import Reception
from nodelink.contract.federation import PeerTransport

JSON: Final = b"application/json"
TEXT: Final = b"text/plain; charset=utf-8"
METHOD_REFUSED: Final = 405

Headers = Sequence[tuple[str, str]]
Take = Callable[[Scope, Receive, Headers], Awaitable[str]]
"""Take what a request brings; return the answer. Raises: DeliveryRefusedError."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def build_entries(door: Door, inbound: Inbound, reception: Reception | None = None) -> Mapping[str, ASGIApp]:
    """Build what answers at each path; `reception` is `None` where nothing is taken from others."""

    async def take_delivery(scope: Scope, receive: Receive, headers: Headers) -> str:
        if reception is None or _find(headers, "authorization"):
            return await _take_delivery(door, inbound, receive, headers)
        return await _take_of_peer(reception, scope, receive, headers)

    async def take_batch(_: Scope, receive: Receive, headers: Headers) -> str:
        return await _take_batch(door, inbound, receive, headers)

    return {DELIVERY_PATH: partial(_answer, take_delivery), BATCH_PATH: partial(_answer, take_batch)}


async def read_body(headers: Headers, receive: Receive, max_bytes: int) -> bytes:
    """Read the body, and no more of it than is taken. Raises: TooLargeError, MalformedDeliveryError."""
    if int(_find(headers, "content-length") or "0") > max_bytes:  # h11 has checked the digits
        raise TooLargeError
    parts: list[bytes] = []
    size_bytes = 0
    has_more = True
    while has_more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise MalformedDeliveryError("not complete")
        part = event.get("body", b"")
        size_bytes += len(part)
        if size_bytes > max_bytes:
            raise TooLargeError
        parts.append(part)
        has_more = event.get("more_body", False)
    return b"".join(parts)


async def _answer(take: Take, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request at a path."""
    status, media_type = 200, JSON
    if scope["method"] != "POST":
        status, media_type, text = METHOD_REFUSED, TEXT, "Only POST is answered here"
    else:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        try:
            text = await take(scope, receive, headers)
        except DeliveryRefusedError as refusal:
            log.warning("delivery refused", status=refusal.status, detail=str(refusal))
            status, media_type, text = refusal.status, TEXT, refusal.public_text
    content = text.encode()
    told = [(b"content-length", b"%d" % len(content)), (b"content-type", media_type)]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": content})


async def _take_delivery(door: Door, inbound: Inbound, receive: Receive, headers: Headers) -> str:
    """Take a message of a node of the fleet. Raises: DeliveryRefusedError."""
    sibling, digest = door.admit(_find(headers, "authorization"))
    delivery = read_headers(headers)
    message = await read_body(headers, receive, inbound.max_bytes)
    if len(message) > LARGE_MESSAGE_BYTES:
        actual = await asyncio.to_thread(delivery.digest, message)
    else:
        actual = delivery.digest(message)
    if actual != digest:
        raise MalformedDeliveryError("another delivery was signed")
    return write_taken(await inbound.take(sibling, delivery, message))


async def _take_batch(door: Door, inbound: Inbound, receive: Receive, headers: Headers) -> str:
    """Take several. Raises: DeliveryRefusedError, for all of them."""
    sibling, digest = door.admit(_find(headers, "authorization"))
    body = await read_body(headers, receive, MAX_BATCH_BYTES)
    if digest_batch(body) != digest:
        raise MalformedDeliveryError("another batch was signed")
    return write_answers(await inbound.take_batch(sibling, read_batch(body)))


async def _take_of_peer(reception: Reception, scope: Scope, receive: Receive, headers: Headers) -> str:
    """Take what a server of others hands over. Raises: DeliveryRefusedError."""
    client = scope.get("client")
    transport = PeerTransport.HTTPS if scope["scheme"] == "https" else PeerTransport.HTTP
    arrival = http_entry.read_arrival(headers, client[0] if client else "", transport)
    await http_entry.begin(reception, arrival)
    message = await read_body(headers, receive, reception.max_bytes)
    return write_refused(await http_entry.finish(reception, arrival, message))


def _find(headers: Headers, wanted: str) -> str:
    """Find a header's first value; an empty one where there is none."""
    return next((value for name, value in headers if name == wanted), "")
