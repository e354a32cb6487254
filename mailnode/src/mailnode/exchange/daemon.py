"""The exchanger as a daemon: read what the host says, build the parts, hand them to one another.

    settings ─▶ store ─▶ shelf ─▶ intake, pickup, forwarding ─▶ endpoints ─▶ listener

Not for: any rule; this is only where they are put together.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from mailnode.accounts.rate_limit import RateLimit, RateLimiter
from mailnode.exchange.domains import plan_stops
from mailnode.exchange.endpoints import Gate, create_exchange_app
from mailnode.exchange.figures import FIGURES, METRICS_PREFIX, Counts
from mailnode.exchange.forwarding import Forwarding
from mailnode.exchange.intake import Intake
from mailnode.exchange.pickup import ANSWER_MESSAGES, Pickup
from mailnode.exchange.settings import ExchangeSettings
from mailnode.exchange.shelf import Shelf
from mailnode.exchange.tokens import TokenBook
from mailnode.exchange.waiting_store import WaitingStore
from mailnode.http.protocol import Bounds, HttpServer
from mailnode.peering.resolver import Resolver
from mailnode.peering.upload import TlsContexts, build_tls_contexts
from mailnode.store.mail_store import MailStoreError
from mailnode.tls_listener import serve
from nodelink.channel.files import make_private_directory
from nodelink.contract.figures import LOOP_LAG
from nodelink.daemon.chassis import Chassis, run_daemon
from nodelink.daemon.errors import HostError
from nodelink.daemon.figure_metrics import FigureCollector
from nodelink.daemon.listeners import listen_tcp
from nodelink.daemon.log import set_up_log
from nodelink.daemon.loop_lag import LoopLag
from nodelink.daemon.metrics import open_metrics, serve_metrics
from nodelink.daemon.plain_http import write_origin
from nodelink.daemon.plain_http_server import PlainHttpServer
from nodelink.daemon.tls import ServerCertificate

STORE_DIRECTORY = "mail"
BURST_MINUTES = 2
WRONG_TOKENS = RateLimit(per_minute=10, burst=20)
REQUEST_SECONDS = 300
"""For a whole request: lines to blocked networks are slow."""
GRACE_SECONDS = 3
MAX_CONNECTIONS = 1_024


@dataclass(frozen=True, slots=True)
class ExchangeDaemon:
    """An exchanger on this host."""

    settings: ExchangeSettings

    async def start(self, chassis: Chassis, stack: AsyncExitStack) -> None:
        """Serve until the stack unwinds.

        Raises:
            HostError: The host is not as the settings say.
        """
        try:
            await self._start(chassis, stack)
        except MailStoreError as error:
            raise HostError(str(error)) from error

    async def _start(self, chassis: Chassis, stack: AsyncExitStack) -> None:
        settings = self.settings
        make_private_directory(settings.state_directory)
        certificate = ServerCertificate(settings.tls_certificate, settings.tls_key)
        tls = certificate.build_context()
        store = WaitingStore(settings.state_directory / STORE_DIRECTORY)
        await store.start(stack)
        shelf = Shelf(domain_bytes=settings.domain_bytes, total_bytes=settings.total_bytes)
        shelf.fill(await store.read_usages())
        counts, lag = Counts(), LoopLag()
        await lag.start(stack)

        forwarding = self._build_forwarding(store, shelf, counts)
        pickup = Pickup(
            store=store,
            shelf=shelf,
            counts=counts,
            forwarded=settings.forwarded,
            keep_hours=settings.keep_hours,
            answer_messages=ANSWER_MESSAGES,
        )
        intake = self._build_intake(store, shelf, counts, forwarding)

        def read_figures() -> Mapping[str, float]:
            return {
                "waiting_messages": shelf.message_count,
                "waiting_bytes": shelf.used_bytes,
                **counts.as_mapping(),
            }

        app = create_exchange_app(
            intake=intake,
            pickup=pickup,
            gate=Gate(TokenBook(settings.kept), RateLimiter(WRONG_TOKENS), counts),
            read_figures=read_figures,
        )
        bounds = Bounds(
            request_seconds=REQUEST_SECONDS, grace_seconds=GRACE_SECONDS, max_connections=MAX_CONNECTIONS
        )
        http = HttpServer(app, bounds=bounds)
        for listener in listen_tcp(chassis.manager, "https", settings.listen_addresses, settings.https_port):
            stack.callback((await serve(listener, http.build_protocol, tls)).close)
        await self._serve_plain_http(chassis, stack)
        await http.start(stack)  # after its listener, so that it is drained before that closes
        await certificate.start(stack)
        chassis.on_reload.append(certificate.reload)
        registry = CollectorRegistry()
        registry.register(
            FigureCollector(METRICS_PREFIX, FIGURES, lambda: {**read_figures(), LOOP_LAG: lag.worst_seconds})
        )
        serve_metrics(stack, registry, open_metrics(chassis.manager, settings.metrics_port))
        await pickup.start(stack)
        await forwarding.start(stack)

    def _build_forwarding(self, store: WaitingStore, shelf: Shelf, counts: Counts) -> Forwarding:
        settings = self.settings
        return Forwarding(
            stops=plan_stops(settings.forwarded),
            store=store,
            shelf=shelf,
            counts=counts,
            tls=self._trust(),
            resolver=Resolver(servers=settings.dns_servers, port=settings.dns_port),
            give_up_seconds=settings.forward_hours * 3_600,
            source_address=settings.outbound_address,
        )

    def _build_intake(
        self, store: WaitingStore, shelf: Shelf, counts: Counts, forwarding: Forwarding
    ) -> Intake:
        settings = self.settings
        per_minute = settings.messages_per_minute
        limit = RateLimit(per_minute=per_minute, burst=BURST_MINUTES * per_minute) if per_minute else None
        return Intake(
            listed=settings.kept.keys() | settings.forwarded.keys(),
            store=store,
            shelf=shelf,
            counts=counts,
            limiter=RateLimiter(limit),
            max_bytes=settings.message_bytes,
            pass_on=forwarding.pass_on,
            wake=forwarding.wake,
        )

    def _trust(self) -> TlsContexts:
        ca_file = self.settings.ca_file
        try:
            return build_tls_contexts(None if ca_file is None else str(ca_file))
        except OSError as error:
            raise HostError(f"EXCHANGE_CA_FILE {ca_file} holds no CAs in PEM form. Correct it.") from error

    async def _serve_plain_http(self, chassis: Chassis, stack: AsyncExitStack) -> None:
        settings = self.settings
        if settings.http_port is None:
            return
        origin = write_origin(settings.public_host, settings.https_port)
        plain = PlainHttpServer(origin, settings.acme_challenge_directory)
        await plain.start(
            stack, listen_tcp(chassis.manager, "http", settings.listen_addresses, settings.http_port)
        )


def run(settings: ExchangeSettings) -> None:
    """Run the daemon until it is told to stop."""
    set_up_log(settings.log_level)
    run_daemon(ExchangeDaemon(settings).start)
