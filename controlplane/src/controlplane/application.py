"""Build the application around an open plane; nothing is global, so a test may build many."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from prometheus_client import CollectorRegistry

from controlplane.accounts.endpoints import router as accounts_router
from controlplane.accounts.order_endpoints import router as account_orders_router
from controlplane.admins.audit_endpoints import router as audit_router
from controlplane.admins.endpoints import router as admins_router
from controlplane.admins.static_token import read_static_token
from controlplane.admins.tokens import TokenBook
from controlplane.exchangers.endpoints import router as exchangers_router
from controlplane.federation.endpoints import router as federation_router
from controlplane.fleet_settings.endpoints import router as settings_router
from controlplane.health.endpoints import router as health_router
from controlplane.health.metrics import FleetCollector
from controlplane.health.watch import HealthWatch
from controlplane.http_errors import install_error_handlers
from controlplane.http_limits import HttpLimits
from controlplane.madmail_rpc.call import Site
from controlplane.madmail_rpc.endpoints import build_router as build_madmail_router
from controlplane.nodes.desk import Desk
from controlplane.nodes.door import Door
from controlplane.nodes.endpoints import router as nodes_router
from controlplane.nodes.fleet_endpoints import router as fleet_router
from controlplane.nodes.group_endpoints import router as groups_router
from controlplane.nodes.hub import ChannelHub
from controlplane.nodes.node_endpoints import router as nodes_own_router
from controlplane.nodes.port_endpoints import router as ports_router
from controlplane.nodes.turn_endpoints import router as turn_router
from controlplane.operations.endpoints import router as operations_router
from controlplane.plane import Plane
from controlplane.policy.endpoints import router as policy_router
from controlplane.rate_limit import RateLimit
from controlplane.registration.endpoints import router as registration_router
from controlplane.registration.node_endpoints import router as redemption_router
from controlplane.registration.service import Registration
from controlplane.registration.token_endpoints import router as registration_tokens_router
from controlplane.rest.documentation import complete_document
from controlplane.rest.upkeep import Upkeep
from controlplane.web.pages import build_templates
from controlplane.web.routes import router as web_router
from controlplane.webhooks.endpoints import router as webhooks_router
from controlplane.webhooks.sender import WebhookSender
from controlplane.zone.endpoints import router as zone_router
from nodelink.daemon.complaints import Complaints

VERSION = version("controlplane")
WRONG_TOKENS_PER_MINUTE = 10
WRONG_TOKEN_BURST = 20
NEW_ACCOUNTS_BURST = 5
"""So many minutes' worth at one instant: whole networks share an address."""
REDEMPTIONS_PER_NODE = 5_000
"""In two minutes: more than its accounts could be made."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


API_ROUTERS = (
    admins_router,
    audit_router,
    fleet_router,
    nodes_router,
    ports_router,
    groups_router,
    turn_router,
    zone_router,
    policy_router,
    federation_router,
    exchangers_router,
    settings_router,
    operations_router,
    accounts_router,
    account_orders_router,
    registration_tokens_router,
    health_router,
    webhooks_router,
)


class PlaneApplication(FastAPI):
    """The framework's application with a document that says all."""

    def openapi(self) -> dict[str, Any]:
        """Write the OpenAPI document, once."""
        if self.openapi_schema is None:
            complete_document(super().openapi(), iter_route_contexts(self.routes))
        return super().openapi()


def create_app(
    plane: Plane, *, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.time
) -> FastAPI:
    """Build the application. Its lifespan runs the hub of the channels."""
    registry = registry or CollectorRegistry()
    registry.register(FleetCollector(plane, clock))
    hub = ChannelHub(Desk(plane, clock), registry)

    @asynccontextmanager
    async def run_hub(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await hub.start(stack)
            await Upkeep(plane, clock).start(stack)
            await HealthWatch(plane, clock).start(stack)
            await WebhookSender(plane, clock).start(stack)
            yield

    api_path = plane.settings.api_path
    app = PlaneApplication(
        title="madfleet control plane",
        version="1",
        openapi_url=f"{api_path}/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=run_hub,
    )
    app.state.plane = plane
    app.state.hub = hub
    app.state.clock = clock
    app.state.complaints = Complaints(log)
    app.state.door = Door(plane.settings.public_url, clock)
    app.state.redemption_door = Door(plane.settings.public_url, clock, REDEMPTIONS_PER_NODE)
    app.state.tokens = TokenBook(plane.vault, read_static_token(plane.settings, plane.vault))
    app.state.wrong_tokens = RateLimit(
        events=WRONG_TOKENS_PER_MINUTE, period_seconds=60, burst=WRONG_TOKEN_BURST
    )
    limit = plane.settings.new_accounts_per_minute
    app.state.new_accounts = (
        RateLimit(events=limit, period_seconds=60, burst=limit * NEW_ACCOUNTS_BURST) if limit else None
    )
    app.state.registration = Registration(plane, hub, clock)
    app.state.madmail_site = Site(plane, hub, int(clock()), VERSION)
    app.state.templates = build_templates()
    for router in API_ROUTERS:
        app.include_router(router, prefix=api_path)
    madmail_router = build_madmail_router(plane.settings)
    for router in (nodes_own_router, redemption_router, madmail_router, registration_router, web_router):
        app.include_router(router)
    install_error_handlers(app)
    app.add_middleware(HttpLimits)
    return app
