"""What stands between the mail node and those who steer it.

For: the control plane, whose desired states are put in force here and who hears reports; the local admin.
Not for: what a setting does (accounts.policy), or the channel (nodelink.channel).
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

import structlog
from pydantic import JsonValue

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.brake import Brake
from mailnode.accounts.errors import BadAddressError
from mailnode.accounts.overrides import LocalOverrides, list_overridden
from mailnode.accounts.policy import Policy
from mailnode.backup_addresses.offer import BackupOffer, decide_offer
from mailnode.disk_usage import DiskUsage, measure_disk
from mailnode.federation.inbound import Inbound
from mailnode.federation.outbound import Outbound
from mailnode.federation.siblings import Siblings
from mailnode.imap.server import ImapServer
from mailnode.mail_ports import MailListeners
from mailnode.peering.assembly import Peering
from mailnode.peering.exchangers import Exchangers
from mailnode.peering.reception import Reception
from mailnode.peering.traffic import Traffic
from mailnode.public_addresses import list_public_addresses
from mailnode.push.pusher import Pusher, PushRules
from mailnode.settings import MailNodeSettings
from mailnode.smtp.server import SmtpServer
from mailnode.store.mail_store import (
    AccountExistsError,
    MailStore,
    StoreUnavailableError,
    UnknownAccountError,
)
from nodelink.channel.agent import NodeAgent
from nodelink.channel.connection import RefusedError
from nodelink.channel.probing import ProbeRounds
from nodelink.contract.federation import MAX_PEERS_SHOWN, PeersAnswer
from nodelink.contract.figures import LOOP_LAG, PUSH_FAILURES
from nodelink.contract.ports import PortName
from nodelink.contract.reports import (
    MAX_ADDRESSES,
    MAX_ISSUER_CHARACTERS,
    MAX_PEERS_REPORTED,
    MailPlaces,
    Report,
)
from nodelink.contract.states import MailNodeState, NodeKind, NodeState, TurnAccess
from nodelink.daemon.loop_lag import LoopLag
from nodelink.daemon.tasks import open_task_group
from nodelink.daemon.tls import CertificateError, read_issuer, read_spki_pin

VERSION = version("mailnode")
COUNT_SECONDS = 5
MEASURE_SECONDS = 60
MAX_PROBLEM_CHARACTERS = 500

log: structlog.stdlib.BoundLogger = structlog.get_logger()

CLOSED = Policy(registration_open=False, jit_enabled=False)
"""What holds until somebody has decided: those who are there may stay, nobody comes in."""


@dataclass(slots=True, kw_only=True)
class Steering:
    """The node's state as others see it."""

    settings: MailNodeSettings
    accounts: Accounts
    store: MailStore
    overrides: LocalOverrides
    listeners: MailListeners
    peering: Peering | None = None
    siblings: Siblings = field(default_factory=Siblings)
    _tls_pin: str | None = field(init=False, default=None)
    _issuer: str | None = field(init=False, default=None)
    _outbound: Outbound | None = field(init=False, default=None)
    _inbound: Inbound | None = field(init=False, default=None)
    _pusher: Pusher | None = field(init=False, default=None)
    _exchangers: Exchangers | None = field(init=False, default=None)
    _probes: ProbeRounds | None = field(init=False, default=None)
    _disk: DiskUsage | None = field(init=False, default=None)
    _lag: LoopLag = field(init=False, default_factory=LoopLag)
    _turn: TurnAccess | None = field(init=False, default=None)
    _weight: int = field(init=False, default=0)
    _account_count: int = field(init=False, default=0)
    _near_quota_count: int = field(init=False, default=0)
    _problems: tuple[str, ...] = field(init=False, default=())
    _started_at_seconds: int = field(init=False, default_factory=lambda: int(time.time()))
    _imap: ImapServer | None = field(init=False, default=None)
    _smtp: SmtpServer | None = field(init=False, default=None)
    _agent: NodeAgent | None = field(init=False, default=None)

    def watch_parts(
        self,
        *,
        imap: ImapServer,
        smtp: SmtpServer,
        agent: NodeAgent | None,
        outbound: Outbound | None = None,
        inbound: Inbound | None = None,
    ) -> None:
        """Name the parts whose figures are told."""
        self._imap, self._smtp, self._agent = imap, smtp, agent
        self._outbound, self._inbound = outbound, inbound

    def watch_pusher(self, pusher: Pusher) -> None:
        """Name what wakes sleeping apps."""
        self._pusher = pusher

    async def start_exchangers(self, stack: AsyncExitStack, reception: Reception) -> None:
        """Pull mail that waits elsewhere, as far as a desired state says where."""
        if self.peering is not None:
            self._exchangers = self.peering.build_exchangers(reception)
            await self._exchangers.start(stack)

    def watch_probes(self, probes: ProbeRounds) -> None:
        """Name what probes other nodes."""
        self._probes = probes

    async def start(self, stack: AsyncExitStack) -> None:
        """Count accounts and measure the disk from time to time, until the stack unwinds."""
        await self._lag.start(stack)
        brake = Brake(directory=self.settings.state_directory, read_loop_lag=lambda: self._lag.worst_seconds)
        await brake.start(stack)
        self.accounts.brake = brake
        await self._count()
        spawn = await open_task_group(stack)
        spawn(self._keep_counting())
        spawn(self._keep_measuring())

    def apply(self, state: NodeState) -> None:
        """Put a desired state in force at once; what the local admin has overridden stays so."""
        if not isinstance(state, MailNodeState):
            return  # the agent has refused it already
        self._turn, self._weight = state.turn, state.weight
        self.siblings.replace(state.siblings)
        self.listeners.want(state.ports)
        if self._pusher is not None:
            self._pusher.put_in_force(PushRules(state.push_enabled, state.push_pauses))
        if self.peering is not None:
            self.peering.policy.put_in_force(state.federation)
        self.overrides.accept(
            Policy(
                registration_open=state.registration_open,
                jit_enabled=state.jit_enabled,
                quota_bytes=state.quota_bytes,
                message_bytes=state.message_bytes,
                registration_token_required=state.registration_token_required,
                message_retention_days=state.message_retention_days,
                unused_account_days=state.unused_account_days,
                large_message_retention_days=state.large_message_retention_days,
                auto_trim=state.auto_trim,
                app_accounts_enabled=state.app_accounts_enabled,
                backup_addresses=state.backup_addresses,
            )
        )

    def read_turn(self) -> TurnAccess | None:
        """Tell how calls go now."""
        return self._turn

    def read_offer(self) -> BackupOffer | None:
        """Tell other nodes what those get here who have registered there; `None` for nothing."""
        brake = self.accounts.brake
        return decide_offer(
            self.accounts.policy.current,
            weight=self._weight,
            accounts=self._account_count,
            has_room=brake is None or brake.shortage is None,
            ports=(
                self.listeners.find_port(PortName.IMAP_TLS),
                self.listeners.find_port(PortName.SUBMISSION_TLS),
            ),
        )

    def read_figures(self) -> dict[str, float]:
        """Read what is counted, by name."""
        submission = self._smtp.submission if self._smtp else None
        figures: dict[str, float] = {
            "accounts": self._account_count,
            "accounts_made": self.accounts.made_count,
            "accounts_near_quota": self._near_quota_count,
            "imap_sessions": self._imap.session_count if self._imap else 0,
            "imap_addresses": self._imap.address_count if self._imap else 0,
            "smtp_sessions": self._smtp.session_count if self._smtp else 0,
            "messages_accepted": submission.accepted_count if submission else 0,
            "messages_refused": submission.refused_count if submission else 0,
            "messages_received": self._inbound.received_count if self._inbound else 0,
            "messages_delivered": self._outbound.delivered_count if self._outbound else 0,
            "notifications_pushed": self._pusher.pushed_count if self._pusher else 0,
            "queued_messages": self._outbound.queued_count if self._outbound else 0,
            "registration_open": int(self.accounts.policy.current.registration_open),
            LOOP_LAG: self._lag.worst_seconds,
        }
        if self._pusher is not None:  # without one, the control plane sees that there is none
            figures[PUSH_FAILURES] = self._pusher.failures_in_a_row
        figures |= (Traffic() if self.peering is None else self.peering.traffic).read_figures()
        return figures if self._disk is None else figures | asdict(self._disk)

    def read_report(self, revision: int) -> Report:
        """Tell the control plane how the node is."""
        return Report(
            kind=NodeKind.MAIL,
            software_version=VERSION,
            applied_revision=revision,
            started_at_seconds=self._started_at_seconds,
            public_name=self.settings.mail_domain,
            public_port=self.settings.https_port,
            overrides=list_overridden(self.overrides.current),
            problems=tuple(self._list_problems()),
            figures=self.read_figures(),
            probes=self._probes.read_results() if self._probes else (),
            dkim_keys=self.peering.keys.read_report() if self.peering else (),
            peers=self.peering.traffic.list_peers(MAX_PEERS_REPORTED).peers if self.peering else (),
            places=MailPlaces(
                host=self.settings.host,
                imap_tls_port=self.listeners.find_port(PortName.IMAP_TLS),
                smtp_tls_port=self.listeners.find_port(PortName.SUBMISSION_TLS),
                tls_pin=self._tls_pin,
                issuer=self._issuer,
            ),
            ports=self.listeners.tell(),
            alternate_ports=self.settings.alternate_ports,
            addresses=list_public_addresses(
                self.settings.published_addresses, self.settings.listen_addresses
            )[:MAX_ADDRESSES],
        )

    def read_status(self) -> Mapping[str, JsonValue]:
        """Tell the local admin how the node is; the control plane hears the same when it asks."""
        agent = self._agent
        status: dict[str, JsonValue] = {
            "version": VERSION,
            "uptime_seconds": int(time.time()) - self._started_at_seconds,
            "enrolled": agent is not None,
            "control_plane": [*sorted(agent.connected)] if agent else [],
            "applied_revision": agent.applied_revision if agent else 0,
            "problems": [*self._list_problems()],
        }
        return status | {name: _shorten(value) for name, value in self.read_figures().items()}

    def _list_problems(self) -> list[str]:
        exchangers = [] if self._exchangers is None else self._exchangers.list_problems()
        return [*self._problems, *self.listeners.list_problems(), *exchangers]

    async def answer_peers(self, _: Mapping[str, JsonValue]) -> JsonValue:
        """Answer the control plane's question with whom mail was exchanged."""
        if self.peering is None:
            return PeersAnswer(peers=(), total=0).model_dump(mode="json")
        return self.peering.traffic.list_peers(MAX_PEERS_SHOWN).model_dump(mode="json")

    async def answer_status(self, _: Mapping[str, JsonValue]) -> JsonValue:
        """Answer the control plane's question how the node is."""
        return dict(self.read_status())

    async def remove_account(self, arguments: Mapping[str, JsonValue]) -> None:
        """Remove an account with its mail; one that is gone already is no problem. Raises: RefusedError."""
        address = arguments.get("address")
        try:
            await self.accounts.remove(str(address))
        except UnknownAccountError:
            return
        except BadAddressError as error:
            raise RefusedError(str(error)) from error

    async def change_quota(self, arguments: Mapping[str, JsonValue]) -> None:
        """Give an account its own quota, or the node's with null. Raises: RefusedError."""
        quota_bytes = arguments.get("quota_bytes")
        if quota_bytes is not None and (isinstance(quota_bytes, bool) or not isinstance(quota_bytes, int)):
            raise RefusedError("A quota is a number of bytes, or null.")
        try:
            await self.accounts.change_quota(str(arguments.get("address")), quota_bytes)
        except UnknownAccountError as error:
            raise RefusedError("There is no such account.") from error
        except BadAddressError as error:
            raise RefusedError(str(error)) from error

    async def create_account(self, arguments: Mapping[str, JsonValue]) -> None:
        """Make an account that was placed here; one that is there already with this password is no problem.

        Raises:
            RefusedError: Registration is closed here, the address is somebody else's, or none.
        """
        address, password = str(arguments.get("address")), str(arguments.get("password"))
        if not self.accounts.policy.current.registration_open:
            raise RefusedError("Registration is closed on this node.")
        try:
            await self.accounts.create(address, password)
        except AccountExistsError as error:
            account = await self.accounts.find(address)
            if not await self.accounts.hasher.verify(account.password_hash, password):
                raise RefusedError("There is an account of this address.") from error
        except BadAddressError as error:
            raise RefusedError(str(error)) from error

    async def _keep_counting(self) -> None:
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            await self._count()

    async def _keep_measuring(self) -> None:
        while True:
            try:
                quota_bytes = self.accounts.policy.current.quota_bytes
                self._near_quota_count = await self.store.count_near_quota(quota_bytes)
                self._disk = await asyncio.to_thread(measure_disk, self.settings.state_directory)
            except (OSError, StoreUnavailableError) as error:
                log.warning("disk not measured", problem=str(error))
            await asyncio.sleep(MEASURE_SECONDS)

    async def _count(self) -> None:
        await asyncio.to_thread(self._read_certificate)
        try:
            self._account_count = await self.store.count_accounts()
            brake = self.accounts.brake
            shortage = brake.shortage if brake else None
            self._problems = (f"No new accounts: {shortage}.",) if shortage else ()
        except StoreUnavailableError as error:
            self._problems = (f"The store does not answer: {error}"[:MAX_PROBLEM_CHARACTERS],)

    def _read_certificate(self) -> None:
        """Read who vouches for the certificate, and its key if no CA does; meanwhile the former holds."""
        with suppress(CertificateError):
            self._issuer = read_issuer(self.settings.tls_certificate)[:MAX_ISSUER_CHARACTERS]
            if self.settings.certificate_is_self_signed:
                self._tls_pin = read_spki_pin(self.settings.tls_certificate)


def _shorten(value: float) -> JsonValue:
    """Write a figure as people read it."""
    return int(value) if value == int(value) else round(value, 3)
