"""With whom mail is exchanged, and by what: decided by the control plane, in force at once.

For: both directions. Pure functions on an unchanging value; `PeerPolicyHolder.current` is read each time.
Not for: what a message must be (reception.py), or mail within the fleet, which no rule touches.

    accept    everybody but those whom a rule names
    reject    nobody but those whom a rule names

A rule may name a transport; it is about that one only.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mailnode.accounts.address import MailDomain
from mailnode.accounts.errors import BadAddressError
from nodelink.contract.federation import ExchangerAccess, FederationMode, FederationState, PeerTransport

ALL_TRANSPORTS = frozenset(PeerTransport)
NOT_OFFERED = "This server delivers within its own fleet only"
NOT_ALLOWED = "Mail to and from this domain is not allowed by the policy of this server"
NOT_THIS_WAY = "The policy of this server allows no way to this domain"

_PEER_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)+")


@dataclass(frozen=True, slots=True)
class PeerPolicy:
    """The rules in force. Domains are in their normal form; a rule that names no transport has all."""

    is_enabled: bool = False
    mode: FederationMode = FederationMode.ACCEPT
    rules: Mapping[str, frozenset[PeerTransport]] = field(default_factory=dict)
    transports: frozenset[PeerTransport] = frozenset((PeerTransport.HTTPS, PeerTransport.SMTP))
    dismissed: frozenset[str] = frozenset()
    overrides: Mapping[str, str] = field(default_factory=dict)
    drops_unknown_recipients: bool = False
    exchangers: tuple[ExchangerAccess, ...] = ()

    def find_transports(self, domain: str, *, is_report: bool = False) -> frozenset[PeerTransport]:
        """Tell by what mail may be exchanged with a domain. No rule stops a report of ours."""
        if not self.is_enabled:
            return frozenset()
        if is_report:
            return self.transports
        named = self.rules.get(domain, frozenset())
        return self.transports & named if self.mode is FederationMode.REJECT else self.transports - named

    def explain(self, domain: str, *, is_report: bool = False) -> str | None:
        """Tell why no mail is exchanged with a domain; `None` where some is."""
        if not self.is_enabled:
            return NOT_OFFERED
        if self.find_transports(domain, is_report=is_report):
            return None
        is_named = bool(self.rules.get(domain))
        return NOT_ALLOWED if is_named or self.mode is FederationMode.REJECT else NOT_THIS_WAY


@dataclass(slots=True)
class PeerPolicyHolder:
    """The one place where the policy in force stands."""

    current: PeerPolicy = field(default_factory=PeerPolicy)

    def put_in_force(self, state: FederationState | None) -> None:
        """Follow a desired state; one of an older control plane says nothing, and then there are no peers."""
        self.current = PeerPolicy() if state is None else read_policy(state)


def read_policy(state: FederationState) -> PeerPolicy:
    """Read the policy of a desired state."""
    rules: dict[str, frozenset[PeerTransport]] = {}
    for rule in state.rules:
        transports = ALL_TRANSPORTS if rule.transport is None else frozenset((rule.transport,))
        for name in normalise([rule.domain]):
            rules[name] = rules.get(name, frozenset()) | transports
    return PeerPolicy(
        is_enabled=state.is_enabled,
        mode=state.mode,
        rules=rules,
        transports=frozenset(state.transports),
        dismissed=frozenset(normalise(state.dismissed)),
        overrides={
            name: override.target for override in state.overrides for name in normalise([override.domain])
        },
        drops_unknown_recipients=state.drops_unknown_recipients,
        exchangers=state.exchangers,
    )


def normalise(domains: Iterable[str]) -> list[str]:
    """Give domains their normal form, brackets included; what is none is left out."""
    found = []
    for domain in domains:
        try:
            found.append(MailDomain.parse(domain).name)
        except BadAddressError:
            continue
    return found


def find_peer(domain: str) -> str | None:
    """Give the domain of a peer its normal form; `None` for what no server of others can be."""
    try:
        name = MailDomain.parse(domain).name
    except BadAddressError:
        return None
    return name if name.startswith("[") or _PEER_NAME.fullmatch(name) else None
