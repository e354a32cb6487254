"""Build the application around an open plane; nothing is global, so a test may build many."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from controlplane.http_errors import install_error_handlers
from controlplane.http_limits import HttpLimits
from controlplane.nodes.desk import Desk
from controlplane.nodes.door import Door
from controlplane.nodes.endpoints import router as nodes_router
from controlplane.nodes.hub import ChannelHub
from controlplane.operations.endpoints import router as operations_router
from controlplane.plane import Plane
from controlplane.policy.endpoints import router as policy_router
from controlplane.rate_limit import RateLimit
from controlplane.registration.endpoints import router as registration_router
from controlplane.registration.service import Registration
from controlplane.web.endpoints import router as web_router
from controlplane.web.pages import build_templates
from nodelink.daemon.complaints import Complaints

WRONG_TOKENS_PER_MINUTE = 10
WRONG_TOKEN_BURST = 20
NEW_ACCOUNTS_BURST = 5
"""So many minutes' worth at one instant: whole networks share an address."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def create_app(
    plane: Plane, *, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.time
) -> FastAPI:
    """Build the application. Its lifespan runs the hub of the channels."""
    hub = ChannelHub(Desk(plane, clock), registry or CollectorRegistry())

    @asynccontextmanager
    async def run_hub(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await hub.start(stack)
            yield

    app = FastAPI(
        title="madfleet control plane",
        version="1",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=run_hub,
    )
    app.state.plane = plane
    app.state.hub = hub
    app.state.clock = clock
    app.state.complaints = Complaints(log)
    app.state.door = Door(plane.settings.public_url, clock)
    app.state.wrong_tokens = RateLimit(
        events=WRONG_TOKENS_PER_MINUTE, period_seconds=60, burst=WRONG_TOKEN_BURST
    )
    limit = plane.settings.new_accounts_per_minute
    app.state.new_accounts = (
        RateLimit(events=limit, period_seconds=60, burst=limit * NEW_ACCOUNTS_BURST) if limit else None
    )
    app.state.registration = Registration(plane, hub, clock)
    app.state.templates = build_templates()
    for router in (nodes_router, policy_router, operations_router, registration_router, web_router):
        app.include_router(router)
    install_error_handlers(app)
    app.add_middleware(HttpLimits)
    return app
