"""What an exchanger answers.

    POST /mxdeliv              anybody                  takes a message for a listed domain
    GET  /mxdeliv, /health     anybody                  {"status": "ok", …}: how much, and nobody's name
    GET  /pull?domain=D        the token of D           {"messages": […]}
    GET  /me/full              a token                  the same, for the domain of the token
    POST /pull/ack             a token                  {"ids": […]} of its domains may be forgotten

For: the daemon; connections are mailnode.http.protocol's.
Not for: rules (intake.py, pickup.py, tokens.py).

A wrong token counts against the address that shows it; the right one is never counted, so that nobody can
shut a server out.
"""

from collections.abc import Callable, Mapping

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.exceptions import HTTPException

from mailnode.accounts.rate_limit import RateLimiter, find_prefix
from mailnode.exchange.errors import NoDomainError, TooManyTokensError, WrongTokenError
from mailnode.exchange.figures import Counts
from mailnode.exchange.hops import HOPS_HEADER, read_hops
from mailnode.exchange.intake import Intake
from mailnode.exchange.pickup import MAX_ACKNOWLEDGEMENT_BYTES, Pickup, read_acknowledgement
from mailnode.exchange.tokens import TokenBook, read_token
from mailnode.federation.endpoint import read_body
from mailnode.federation.errors import DeliveryRefusedError, TryLaterError
from mailnode.peering.http_entry import read_arrival
from mailnode.peering.policy import find_peer
from mailnode.store.mail_store import StoreUnavailableError
from nodelink.contract.federation import PeerTransport
from nodelink.daemon.complaints import Complaints

RETRY_AFTER_SECONDS = 60
WAIT_STATUSES = frozenset((429, 503))

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Gate:
    """Who may fetch what."""

    def __init__(self, book: TokenBook, limiter: RateLimiter, counts: Counts) -> None:
        self._book = book
        self._limiter = limiter
        self._counts = counts

    def open(self, request: Request, wanted: str = "") -> frozenset[str]:
        """Find the domains that a request may fetch; `wanted` is what it asks for, "" for none.

        Raises:
            WrongTokenError: It shows no token, or that of another domain.
            TooManyTokensError: This address has shown many of those.
        """
        opened = self._book.find_domains(read_token(request.headers.get("authorization", "")))
        domains = opened & {find_peer(wanted) or ""} if wanted else opened
        if domains:
            return domains
        self._counts.wrong_tokens += 1
        source = request.client.host if request.client else ""
        if not opened and not self._limiter.try_spend(find_prefix(source)):  # a real one is no guess
            raise TooManyTokensError
        raise WrongTokenError


def create_exchange_app(
    *, intake: Intake, pickup: Pickup, gate: Gate, read_figures: Callable[[], Mapping[str, float]]
) -> FastAPI:
    """Build the application around its parts."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.complaints = Complaints(log)

    @app.post("/mxdeliv")
    async def take_delivery(request: Request) -> Response:
        """Take a message."""
        try:
            await _take(request, intake)
        except DeliveryRefusedError:
            intake.counts.refused += 1
            raise
        return PlainTextResponse("OK")

    @app.get("/mxdeliv")
    @app.get("/health")
    async def tell_health() -> Response:
        """Tell that it works, and how much."""
        return _answer({"status": "ok", **read_figures()})

    @app.get("/pull")
    async def pull(request: Request, domain: str = "") -> Response:
        """Tell what waits for a domain."""
        return await _list(pickup, gate.open(request, domain))

    @app.get("/me/full")
    async def pull_as_madmail(request: Request) -> Response:
        """Tell what waits for the domain of a token."""
        return await _list(pickup, gate.open(request))

    @app.post("/pull/ack")
    async def acknowledge(request: Request) -> Response:
        """Forget what a server has."""
        domains = gate.open(request)
        body = await read_body(request.headers.items(), request.receive, MAX_ACKNOWLEDGEMENT_BYTES)
        ids = read_acknowledgement(body)
        return _answer({"acknowledged": await pickup.acknowledge(domains, ids)})

    app.add_exception_handler(DeliveryRefusedError, _refuse)
    app.add_exception_handler(StoreUnavailableError, _refuse)
    app.add_exception_handler(HTTPException, _refuse)
    return app


async def _take(request: Request, intake: Intake) -> None:
    """Take a message. Raises: DeliveryRefusedError."""
    source = request.client.host if request.client else ""
    arrival = read_arrival(request.headers.items(), source, PeerTransport.HTTPS)
    admitted = intake.admit(arrival, read_hops(request.headers.get(HOPS_HEADER)))
    declared = request.headers.get("content-length")  # h11 has checked the digits
    with intake.hold_memory(None if declared is None else int(declared)):
        message = await read_body(request.headers.items(), request.receive, intake.max_bytes)
        await intake.take(admitted, message)


async def _list(pickup: Pickup, domains: frozenset[str]) -> Response:
    if len(domains) > 1:
        raise NoDomainError
    (domain,) = domains
    rows, has_more = await pickup.choose(domain)
    return StreamingResponse(
        pickup.write_list(rows, has_more=has_more),
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )


def _answer(content: Mapping[str, object]) -> Response:
    return JSONResponse(dict(content), headers={"cache-control": "no-store"})


async def _refuse(request: Request, error: Exception) -> Response:
    match error:
        case HTTPException():
            return PlainTextResponse(str(error.detail), error.status_code, error.headers)
        case DeliveryRefusedError():
            refusal = error
        case _:
            refusal = TryLaterError()
    complaints: Complaints = request.app.state.complaints
    reason = str(refusal) or refusal.public_text
    complaints.info("request refused", path=request.url.path, status=refusal.status, reason=reason)
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if refusal.status in WAIT_STATUSES else {}
    if refusal.status == WrongTokenError.status:
        headers["www-authenticate"] = "Bearer"
    return PlainTextResponse(refusal.public_text, refusal.status, headers)
