"""Try once to bring a message to a peer.

    policy ─▶ stops (override, address, MX narrowed by MTA-STS) ─▶ signed ─▶ one stop after the other:
        taken                     done
        refused by SMTP           refused: the server has spoken
        refused by HTTPS          SMTP is asked, too; if that cannot be reached, the refusal stands
        not reached, not offered  the next stop

For: lane.py, by `federation.outbound`.
Not for: when it is tried again, and what the sender hears.
"""

import time
from asyncio import to_thread
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from mailnode.dkim.errors import MalformedError
from mailnode.dkim.signing import SigningKey, write_signatures
from mailnode.federation.delivery import LARGE_MESSAGE_BYTES, Delivery
from mailnode.federation.retry import Delivered, Failed, Outcome, Refused
from mailnode.peering.errors import NoRouteError, RouteUnknownError
from mailnode.peering.mta_sts import StsPolicies
from mailnode.peering.policy import PeerPolicyHolder
from mailnode.peering.resolver import Resolver
from mailnode.peering.routes import (
    Ports,
    Stop,
    is_address,
    may_be_dialled,
    plan_hosts,
    plan_literal,
    plan_override,
)
from mailnode.peering.smtp_pool import SmtpPool
from mailnode.peering.traffic import Traffic
from mailnode.peering.upload import TlsContexts, Uploads
from mailnode.store.mail_store import Outgoing
from nodelink.contract.federation import PeerTransport

SMTP_PREFERRED_SECONDS = 1_800
"""After mail went by SMTP, SMTP goes first at that host so long; chatmail does not try HTTPS at all then."""
MAX_PREFERENCES = 10_000
REMEMBERED_SIGNATURES = 500

ReadKeys = Callable[[], Sequence[SigningKey]]


@dataclass(slots=True, kw_only=True)
class Courier:
    """The way to all peers. `read_keys` gives the keys that sign now; none on a node that is an address."""

    domain: str
    helo_name: str
    policy: PeerPolicyHolder
    resolver: Resolver
    traffic: Traffic
    tls: TlsContexts
    read_keys: ReadKeys
    ports: Ports = field(default_factory=Ports)
    source_address: str | None = None
    allows_loopback: bool = False
    clock_seconds: Callable[[], float] = time.time
    uploads: Uploads = field(init=False)
    smtp: SmtpPool = field(init=False)
    sts: StsPolicies = field(init=False)
    _smtp_until: dict[str, float] = field(init=False, default_factory=dict)
    _signatures: dict[tuple[int, int, tuple[str, ...]], bytes] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Make the ways; nothing is dialled yet."""
        self.uploads = Uploads(
            tls=self.tls, find_addresses=self._find_addresses, source_address=self.source_address
        )
        self.smtp = SmtpPool(
            helo_name=self.helo_name,
            tls=self.tls,
            find_addresses=self._find_addresses,
            source_address=self.source_address,
        )
        self.sts = StsPolicies(
            find_texts=self.resolver.find_texts, fetch=self._fetch_sts, clock_seconds=self.clock_seconds
        )

    async def close(self) -> None:
        """Close all connections."""
        await self.uploads.close()
        await self.smtp.close()

    async def send(self, row: Outgoing, message: bytes) -> Outcome:
        """Try once to hand a message over."""
        domain = row.envelope.destination
        if domain in self.policy.current.dismissed:
            return Delivered()
        is_report = not row.envelope.sender
        refusal = self.policy.current.explain(domain, is_report=is_report)
        if refusal is not None:
            return self._note(domain, None, Refused(refusal))
        try:
            stops = await self._plan(domain, is_report=is_report)
            signed = await self._sign(row, message)
        except NoRouteError as error:
            return self._note(domain, None, Refused(error.public_text))
        except RouteUnknownError as error:
            return self._note(domain, None, Failed(error.public_text, is_of_node=True))
        envelope = row.envelope
        delivery = Delivery(envelope.delivery_id, envelope.sender, envelope.recipients)
        return await self._visit(domain, stops, delivery, (signed, row.queued_at_seconds))

    async def _visit(
        self, domain: str, stops: Sequence[Stop], delivery: Delivery, signed: tuple[bytes, int]
    ) -> Outcome:
        message, queued_at_seconds = signed
        failures: list[Failed] = []
        refusal: Refused | None = None
        for stop in self._put_smtp_first(stops):
            outcome = await self._try(stop, delivery, message)
            match outcome:
                case Delivered():
                    self._smtp_until.pop(stop.host, None)
                    if stop.transport is PeerTransport.SMTP:
                        self._prefer_smtp(stop.host)
                    waited = max(0.0, self.clock_seconds() - queued_at_seconds)
                    self.traffic.note_delivered(domain, stop.transport, waited)
                    return outcome
                case Refused():
                    if stop.transport is PeerTransport.SMTP:
                        return self._note(domain, stop.transport, outcome)
                    refusal = refusal or outcome
                case Failed():
                    self.traffic.note_failed(domain, stop.transport, outcome.reason)
                    failures.append(outcome)
                    if stop.transport is PeerTransport.SMTP and not outcome.is_of_node:
                        return outcome  # the server has asked us to come again
                case _:
                    assert_never(outcome)
        if refusal is not None:
            return self._note(domain, None, refusal)
        reason = "; ".join(dict.fromkeys(failure.reason for failure in failures)) or "there is no way to it"
        return Failed(reason, is_of_node=all(failure.is_of_node for failure in failures))

    async def _try(self, stop: Stop, delivery: Delivery, message: bytes) -> Outcome:
        way = self.smtp if stop.transport is PeerTransport.SMTP else self.uploads
        try:
            return await way.send(stop, delivery, message)
        except RouteUnknownError as error:
            return Failed(error.public_text, is_of_node=True)
        except NoRouteError as error:  # an exchanger whose name is none
            return Failed(error.public_text, is_of_node=True)

    async def _plan(self, domain: str, *, is_report: bool) -> list[Stop]:
        """Plan the way. Raises: NoRouteError, RouteUnknownError."""
        policy = self.policy.current
        allowed = policy.find_transports(domain, is_report=is_report)
        target = policy.overrides.get(domain)
        if target is not None:
            return plan_override(target, allowed, self.ports)
        if domain.startswith("["):
            return plan_literal(domain, allowed, self.ports)
        hosts = await self.resolver.find_exchangers(domain)
        sts = await self.sts.find(domain)
        good = [host for host in hosts if sts.allows(host)]
        if not good:
            raise RouteUnknownError("the domain's MTA-STS policy names none of its mail exchangers")
        return plan_hosts(good, allowed, self.ports)

    def _put_smtp_first(self, stops: Sequence[Stop]) -> list[Stop]:
        """Go by SMTP first where that worked lately; the order of hosts stays."""
        now = self.clock_seconds()
        by_smtp = {
            stop.host
            for stop in stops
            if stop.transport is PeerTransport.SMTP and self._smtp_until.get(stop.host, 0) > now
        }
        places = {stop.host: place for place, stop in reversed([*enumerate(stops)])}

        def rank(stop: Stop) -> tuple[int, bool]:
            return places[stop.host], stop.host in by_smtp and stop.transport is not PeerTransport.SMTP

        return sorted(stops, key=rank)

    def _prefer_smtp(self, host: str) -> None:
        while len(self._smtp_until) >= MAX_PREFERENCES:
            del self._smtp_until[next(iter(self._smtp_until))]
        self._smtp_until[host] = self.clock_seconds() + SMTP_PREFERRED_SECONDS

    async def _sign(self, row: Outgoing, message: bytes) -> bytes:
        """Sign a message as of when it was queued: each attempt, and each destination, shows the same."""
        keys = self.read_keys()
        if not keys:
            return message
        key = row.body_id, row.queued_at_seconds, tuple(each.selector for each in keys)
        written = self._signatures.get(key)
        if written is None:
            try:
                work = message, self.domain, keys, row.queued_at_seconds
                is_large = len(message) > LARGE_MESSAGE_BYTES
                written = await to_thread(write_signatures, *work) if is_large else write_signatures(*work)
            except MalformedError as error:
                raise NoRouteError("The header of the message is malformed") from error
            while len(self._signatures) >= REMEMBERED_SIGNATURES:
                del self._signatures[next(iter(self._signatures))]
            self._signatures[key] = written
        return written + message

    async def _find_addresses(self, host: str) -> list[str]:
        addresses = [host] if is_address(host) else await self.resolver.find_addresses(host)
        return [
            address for address in addresses if may_be_dialled(address, allows_loopback=self.allows_loopback)
        ]

    async def _fetch_sts(self, domain: str) -> bytes | None:
        try:
            return await self.uploads.fetch(f"mta-sts.{domain}", "/.well-known/mta-sts.txt", self.ports.https)
        except (NoRouteError, RouteUnknownError):
            return None

    def _note(self, domain: str, transport: PeerTransport | None, outcome: Refused | Failed) -> Outcome:
        if isinstance(outcome, Refused):
            self.traffic.note_refused(domain, outcome.reason)
        else:
            self.traffic.note_failed(domain, transport, outcome.reason)
        return outcome
