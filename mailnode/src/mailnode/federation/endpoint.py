"""`POST /mxdeliv`, where other nodes of the fleet hand mail over, and servers of others.

For: the node's HTTPS application, which includes the router that is built here.
Not for: rules (door.py, inbound.py; those for others: mailnode.peering).

Who shows an assertion is a node of the fleet, or nobody. Who may not is told that before anything of the
message is read.
"""

import asyncio

import structlog
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from mailnode.federation.delivery import LARGE_MESSAGE_BYTES, read_headers, write_refused
from mailnode.federation.door import Door
from mailnode.federation.errors import DeliveryRefusedError, MalformedDeliveryError, TooLargeError
from mailnode.federation.inbound import Inbound
from mailnode.peering import http_entry
from mailnode.peering.reception import Reception
from nodelink.contract.federation import PeerTransport

PATH = "/mxdeliv"

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def build_router(door: Door, inbound: Inbound, reception: Reception | None = None) -> APIRouter:
    """Build the router around what decides; `reception` is `None` where nothing is taken from others."""
    router = APIRouter()

    @router.post(PATH)
    async def take_delivery(request: Request) -> Response:
        """Take a message from another node of the fleet, which its assertion proves, or from a peer."""
        try:
            if reception is None or "authorization" in request.headers:
                refused = await _take(request, door, inbound)
            else:
                refused = await _take_of_peer(request, reception)
        except DeliveryRefusedError as refusal:
            log.warning("delivery refused", status=refusal.status, detail=str(refusal))
            return Response(refusal.public_text, refusal.status, media_type="text/plain")
        return Response(write_refused(refused), media_type="application/json")

    return router


async def read_message(request: Request, max_bytes: int) -> bytes:
    """Read the body, and no more of it than is taken. Raises: TooLargeError, MalformedDeliveryError."""
    if int(request.headers.get("content-length", "0")) > max_bytes:  # h11 has checked the digits
        raise TooLargeError
    parts: list[bytes] = []
    size_bytes = 0
    try:
        async for part in request.stream():
            size_bytes += len(part)
            if size_bytes > max_bytes:
                raise TooLargeError
            parts.append(part)
    except ClientDisconnect as error:
        raise MalformedDeliveryError("not complete") from error
    return b"".join(parts)


async def _take(request: Request, door: Door, inbound: Inbound) -> dict[str, str]:
    """Take a delivery; returns who did not get it. Raises: DeliveryRefusedError."""
    sibling, digest = door.admit(request.headers.get("authorization", ""))
    delivery = read_headers(request.headers.items())
    message = await read_message(request, inbound.max_bytes)
    if len(message) > LARGE_MESSAGE_BYTES:
        actual = await asyncio.to_thread(delivery.digest, message)
    else:
        actual = delivery.digest(message)
    if actual != digest:
        raise MalformedDeliveryError("another delivery was signed")
    return await inbound.take(sibling, delivery, message)


async def _take_of_peer(request: Request, reception: Reception) -> dict[str, str]:
    """Take what a server of others hands over. Raises: DeliveryRefusedError."""
    source = request.client.host if request.client else ""
    is_secure = request.scope["scheme"] == "https"
    transport = PeerTransport.HTTPS if is_secure else PeerTransport.HTTP
    arrival = http_entry.read_arrival(request.headers.items(), source, transport)
    await http_entry.begin(reception, arrival)
    message = await read_message(request, reception.max_bytes)
    return await http_entry.finish(reception, arrival, message)
