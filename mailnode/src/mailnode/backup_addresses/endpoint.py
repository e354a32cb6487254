"""`GET /backup-offer`, where other nodes of the fleet ask whether this one takes new accounts.

For: the node's HTTPS application, which includes the router that is built here.
Not for: the answer (offer.py), or who may ask (federation.door).
"""

from collections.abc import Callable

import structlog
from fastapi import APIRouter, Request, Response

from mailnode.backup_addresses.offer import OFFER_DIGEST, OFFER_PATH, BackupOffer
from mailnode.federation.door import Door
from mailnode.federation.errors import DeliveryRefusedError, NotAdmittedError

PRIVATE = {"cache-control": "no-store"}

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def build_router(door: Door, read_offer: Callable[[], BackupOffer | None]) -> APIRouter:
    """Build the router around who may ask, and what is offered at that moment."""
    router = APIRouter()

    @router.get(OFFER_PATH)
    async def show_offer(request: Request) -> Response:
        """Tell another node of the fleet, which its assertion proves, what is offered; 204 for nothing."""
        try:
            _, digest = door.admit(request.headers.get("authorization", ""))
            if digest != OFFER_DIGEST:
                raise NotAdmittedError("the assertion is about something else")
        except DeliveryRefusedError as refusal:
            log.warning("question refused", status=refusal.status, detail=str(refusal))
            return Response(refusal.public_text, refusal.status, PRIVATE, media_type="text/plain")
        offer = read_offer()
        if offer is None:
            return Response(status_code=204, headers=PRIVATE)
        return Response(offer.model_dump_json(), 200, PRIVATE, media_type="application/json")

    return router
