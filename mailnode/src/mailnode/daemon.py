"""The mail node as a daemon: read what the host says, build the parts, hand them to one another.

    settings ─▶ store ─▶ accounts ─▶ smtp, imap, http ─▶ listeners
                            ▲
                         Steering ◀── control plane (NodeAgent), local admin

Not for: any protocol or rule; this is only where they are put together.
"""

import gc
import logging
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.address import MailDomain
from mailnode.accounts.errors import AccountsError
from mailnode.accounts.keyed_hash import load_pepper
from mailnode.accounts.overrides import LocalOverrides
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import PolicyHolder
from mailnode.accounts.rate_limit import RateLimit
from mailnode.administration.operations import Operations
from mailnode.administration.purge import Purge
from mailnode.administration.queries import Queries
from mailnode.administration.retention import Retention
from mailnode.backup_addresses import endpoint as backup_endpoint
from mailnode.backup_addresses.finder import BackupFinder
from mailnode.dkim.errors import DkimError
from mailnode.encryption.errors import GateError
from mailnode.encryption.gate import check_incoming
from mailnode.federation.door import Door
from mailnode.federation.endpoint import build_entries
from mailnode.federation.inbound import Inbound
from mailnode.federation.outbound import Outbound
from mailnode.federation.probes import MailProbes
from mailnode.federation.transport import Transport
from mailnode.http.app import FindBackups, create_app
from mailnode.http.express import Express
from mailnode.http.multiplexer import Multiplexer, offer_protocols
from mailnode.http.protocol import Bounds, HttpServer
from mailnode.http.site import MailEndpoint, Security, Site
from mailnode.imap.errors import AppendRefusedError
from mailnode.imap.server import ImapServer, SessionLimits
from mailnode.local_admin.errors import LocalAdminError
from mailnode.local_admin.server import LocalAdminServer
from mailnode.mail_ports import MailListeners, Service
from mailnode.peering.assembly import Peering, open_peering
from mailnode.peering.reception import Reception
from mailnode.peering.smtp_server import PEER_LIMITS, PeerSmtpServer
from mailnode.peering.traffic_metrics import TrafficCollector
from mailnode.push.proxy import NotificationProxy
from mailnode.push.pusher import Pusher
from mailnode.registration_tokens.redeemer import TokenRedeemer
from mailnode.settings import MailNodeSettings
from mailnode.shared_metadata import NodeMetadata
from mailnode.smtp.server import SmtpLimits, SmtpServer
from mailnode.steering import CLOSED, VERSION, Steering
from mailnode.store.mail_store import MailStoreError
from mailnode.store.sqlite_store import SqliteMailStore
from mailnode.tls_listener import BuildProtocol, serve
from mailnode.tls_tickets import TicketKey
from nodelink.channel.agent import NodeAgent, open_agent
from nodelink.channel.files import make_private_directory
from nodelink.channel.probing import ProbeRounds
from nodelink.contract.figures import MAIL_FIGURES
from nodelink.contract.ports import PortName
from nodelink.daemon.chassis import Chassis, run_daemon
from nodelink.daemon.errors import HostError
from nodelink.daemon.figure_metrics import FigureCollector
from nodelink.daemon.listeners import listen_tcp
from nodelink.daemon.log import set_up_log
from nodelink.daemon.metrics import open_metrics, serve_metrics
from nodelink.daemon.plain_http import write_origin
from nodelink.daemon.plain_http_server import PlainHttpServer
from nodelink.daemon.tls import ServerCertificate

FAREWELL_SECONDS = 1.5
"""How long clients of each protocol may take to hear that we go: together less than the 5 s of a stop."""

MESSAGES_AT_ONCE = 10
NEW_ACCOUNTS_AT_ONCE = 300
REQUEST_SECONDS = 120
"""For a whole request: a large message from another node may come slowly."""


@dataclass(frozen=True, slots=True)
class MailNode:
    """A mail node on this host."""

    settings: MailNodeSettings

    async def start(self, chassis: Chassis, stack: AsyncExitStack) -> None:
        """Serve until the stack unwinds.

        Raises:
            HostError: The host is not as the settings say.
        """
        try:
            await self._start(chassis, stack)
            gc.freeze()  # what is here stays: it need not be gone through anew while sessions come and go
        except (AccountsError, DkimError, LocalAdminError, MailStoreError) as error:
            raise HostError(str(error)) from error

    async def _start(self, chassis: Chassis, stack: AsyncExitStack) -> None:
        settings = self.settings
        for directory in (settings.state_directory, settings.runtime_directory):
            make_private_directory(directory)
        certificate = ServerCertificate(settings.tls_certificate, settings.tls_key)
        tls, shared_tls = certificate.build_context(), certificate.build_context()
        offer_protocols(shared_tls)

        policy = PolicyHolder(CLOSED)
        overrides = LocalOverrides(state_directory=settings.state_directory, policy=policy)
        overrides.load()
        store = SqliteMailStore(settings.state_directory / "mail")
        await store.start(stack)
        accounts = Accounts(
            store=store,
            policy=policy,
            domain=settings.mail_domain,
            hasher=PasswordHasher(pepper=load_pepper(settings.state_directory)),
            creation_limit=limit_per_minute(settings.new_accounts_per_minute, NEW_ACCOUNTS_AT_ONCE),
        )
        await accounts.start(stack)

        purge = Purge(accounts, store)
        outbound: Outbound | None = None
        listeners = MailListeners(settings, chassis.manager)
        peering = await open_peering(settings, stack)
        steering = Steering(
            settings=settings,
            accounts=accounts,
            store=store,
            overrides=overrides,
            listeners=listeners,
            peering=peering,
        )
        agent = open_agent(
            settings,
            software_version=VERSION,
            apply=steering.apply,
            read_report=steering.read_report,
            queries={
                "status": steering.answer_status,
                "peers": steering.answer_peers,
                **Queries(accounts, store).by_name(),
            },
            operations={
                **Operations(accounts, purge, lambda: outbound).by_name(),
                "change_quota": steering.change_quota,
                "create_account": steering.create_account,
                "remove_account": steering.remove_account,
                "rotate_dkim_keys": peering.keys.rotate,
            },
        )
        if agent is not None:
            outbound = self._build_outbound(agent, steering, peering)

        imap = ImapServer(
            accounts=accounts,
            store=store,
            metadata=NodeMetadata(support_contact=settings.support_contact, read_turn=steering.read_turn),
            hostname=settings.host,
            tls=tls,
            append_gate=judge_appended,
            limits=SessionLimits(farewell_seconds=FAREWELL_SECONDS),
        )
        smtp = SmtpServer(
            accounts=accounts,
            store=store,
            hostname=settings.host,
            tls=tls,
            outbound=outbound,
            limits=SmtpLimits(
                mail_rate=limit_per_minute(settings.messages_per_minute, MESSAGES_AT_ONCE),
                farewell_seconds=FAREWELL_SECONDS,
            ),
        )
        door = Door(MailDomain.parse(settings.mail_domain).name, steering.siblings)
        probes = self._build_probes(outbound, steering)
        inbound = Inbound(accounts=accounts, store=store, probes=probes)
        reception = None if outbound is None else peering.build_reception(accounts, store, outbound)
        app: ASGIApp = create_app(
            accounts=accounts,
            read_site=lambda: describe_site(settings, listeners),
            offers=None if agent is None else backup_endpoint.build_router(door, steering.read_offer),
            find_backups=_find_backups(outbound, steering),
            redeemer=_build_redeemer(agent),
        )
        http = HttpServer(
            app if agent is None else Express(app, build_entries(door, inbound, reception)),
            bounds=Bounds(request_seconds=REQUEST_SECONDS, grace_seconds=FAREWELL_SECONDS),
        )
        for part in (imap, smtp):
            await part.start(stack)
        steering.watch_parts(imap=imap, smtp=smtp, agent=agent, outbound=outbound, inbound=inbound)
        await self._start_pusher(stack, store, steering)

        shared = Multiplexer(imap=imap, smtp=smtp, http=http)
        await self._listen(chassis, stack, "https", settings.https_port, shared.build_protocol, shared_tls)
        await listeners.start(stack, _list_services(imap, smtp, tls))
        if reception is not None:
            await self._serve_peers(chassis, stack, reception, tls, steering)
        await self._serve_plain_http(chassis, stack)
        await http.start(stack)  # after its listener, so that it is drained before that closes

        admin = LocalAdminServer(
            accounts=accounts,
            store=store,
            overrides=overrides,
            status=steering.read_status,
            directory=settings.runtime_directory,
        )
        await admin.start(stack)
        await self._keep_tls(chassis, stack, certificate, (tls, shared_tls))
        serve_metrics(stack, _collect(steering), open_metrics(chassis.manager, settings.metrics_port))
        await steering.start(stack)
        await Retention(accounts, purge).start(stack)
        if outbound is not None:
            await outbound.start(stack)
        if probes is not None:
            await _start_probes(stack, probes, steering)
        if agent is not None:
            await agent.start(stack)

    async def _start_pusher(self, stack: AsyncExitStack, store: SqliteMailStore, steering: Steering) -> None:
        if self.settings.notification_proxy:
            pusher = Pusher(queue=store, proxy=NotificationProxy(self.settings.notification_proxy))
            await pusher.start(stack)
            steering.watch_pusher(pusher)

    async def _keep_tls(
        self,
        chassis: Chassis,
        stack: AsyncExitStack,
        certificate: ServerCertificate,
        contexts: Sequence[ssl.SSLContext],
    ) -> None:
        """Offer new certificates, and resume sessions beyond a restart."""
        await certificate.start(stack)
        chassis.on_reload.append(certificate.reload)
        settings = self.settings
        tickets = TicketKey(settings.state_directory, contexts, settings.tls_certificate, settings.tls_key)
        await tickets.start(stack)

    async def _serve_plain_http(self, chassis: Chassis, stack: AsyncExitStack) -> None:
        settings = self.settings
        if settings.http_port is None:
            return
        origin = write_origin(settings.host, settings.https_port)
        plain = PlainHttpServer(origin, settings.acme_challenge_directory)
        listeners = listen_tcp(chassis.manager, "http", settings.listen_addresses, settings.http_port)
        await plain.start(stack, listeners)

    async def _serve_peers(
        self,
        chassis: Chassis,
        stack: AsyncExitStack,
        reception: Reception,
        tls: ssl.SSLContext,
        steering: Steering,
    ) -> None:
        await steering.start_exchangers(stack, reception)
        port = self.settings.inbound_smtp_port
        if port is None:
            return
        server = PeerSmtpServer(
            accounts=reception.accounts,
            store=reception.store,
            hostname=self.settings.host,
            tls=tls,
            limits=replace(PEER_LIMITS, farewell_seconds=FAREWELL_SECONDS),
            reception=reception,
        )
        await server.start(stack)
        await self._listen(chassis, stack, "smtp", port, lambda: server.build_protocol(is_secure=False), None)

    def _build_outbound(self, agent: NodeAgent, steering: Steering, peering: Peering) -> Outbound:
        return Outbound(
            store=steering.store,
            accounts=steering.accounts,
            siblings=steering.siblings,
            transport=Transport(
                node=agent.enrolment.node, identity=agent.identity, ca_file=self.settings.siblings_ca_file
            ),
            courier=peering.courier,
            give_up_seconds=round(3_600 * self.settings.queue_hours),
        )

    def _build_probes(self, outbound: Outbound | None, steering: Steering) -> MailProbes | None:
        if outbound is None:
            return None
        domain = MailDomain.parse(self.settings.mail_domain).name
        return MailProbes(domain=domain, siblings=steering.siblings, transport=outbound.transport)

    async def _listen(  # noqa: PLR0917, PLR0913 - what is served, and where
        self,
        chassis: Chassis,
        stack: AsyncExitStack,
        name: str,
        port: int,
        build: BuildProtocol,
        context: ssl.SSLContext | None,
    ) -> None:
        for listener in listen_tcp(chassis.manager, name, self.settings.listen_addresses, port):
            stack.callback((await serve(listener, build, context)).close)


def _find_backups(outbound: Outbound | None, steering: Steering) -> FindBackups | None:
    """Find what siblings offer; `None` for a node of no fleet."""
    if outbound is None:
        return None
    return BackupFinder(siblings=steering.siblings, transport=outbound.transport).find


def _build_redeemer(agent: NodeAgent | None) -> TokenRedeemer | None:
    """Build what has tokens judged; `None` for a node of no fleet."""
    if agent is None:
        return None
    return TokenRedeemer(identity=agent.identity, enrolment=agent.enrolment, build_tls=agent.build_tls)


def limit_per_minute(events: int, at_once: int) -> RateLimit | None:
    """Build the limit that a setting means; `None` where it is 0."""
    return RateLimit(per_minute=events, burst=at_once) if events else None


def judge_appended(message: bytes) -> None:
    """Let into mailboxes by APPEND what may also come in by mail. Raises: AppendRefusedError."""
    try:
        check_incoming(message)
    except GateError as error:
        raise AppendRefusedError(error.public_text) from error


def describe_site(settings: MailNodeSettings, listeners: MailListeners) -> Site:
    """Describe the node for pages, links and autoconfig; the first of each kind is what QR codes name."""
    host, find = settings.host, listeners.find_port
    return Site(
        name=settings.service_name,
        mail_domain=settings.mail_domain,
        https_host=host,
        https_port=settings.https_port,
        imap=(
            MailEndpoint(host=host, port=find(PortName.IMAP_TLS), security=Security.SSL),
            MailEndpoint(host=host, port=find(PortName.IMAP), security=Security.STARTTLS),
            MailEndpoint(host=host, port=settings.https_port, security=Security.SSL),
        ),
        smtp=(
            MailEndpoint(host=host, port=find(PortName.SUBMISSION_TLS), security=Security.SSL),
            MailEndpoint(host=host, port=find(PortName.SUBMISSION), security=Security.STARTTLS),
            MailEndpoint(host=host, port=settings.https_port, security=Security.SSL),
        ),
        is_self_signed=settings.certificate_is_self_signed,
        support_contact=settings.support_contact,
        default_language=settings.language,
    )


def _list_services(imap: ImapServer, smtp: SmtpServer, tls: ssl.SSLContext) -> dict[PortName, Service]:
    return {
        PortName.IMAP_TLS: Service(lambda: imap.build_protocol(is_secure=True), tls),
        PortName.IMAP: Service(lambda: imap.build_protocol(is_secure=False), None),
        PortName.SUBMISSION_TLS: Service(lambda: smtp.build_protocol(is_secure=True), tls),
        PortName.SUBMISSION: Service(lambda: smtp.build_protocol(is_secure=False), None),
    }


def _collect(steering: Steering) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(FigureCollector("mailnode", MAIL_FIGURES, steering.read_figures))
    if steering.peering is not None:
        registry.register(TrafficCollector(steering.peering.traffic))
    return registry


async def _start_probes(stack: AsyncExitStack, probes: MailProbes, steering: Steering) -> None:
    await probes.start(stack)
    rounds = ProbeRounds(list_peers=probes.list_names, probe=probes.probe)
    await rounds.start(stack)
    steering.watch_probes(rounds)


def run(settings: MailNodeSettings) -> None:
    """Run the daemon until it is told to stop."""
    set_up_log(settings.log_level)
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's, which tells of every connection
    run_daemon(MailNode(settings).start)
