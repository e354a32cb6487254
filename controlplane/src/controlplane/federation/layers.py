"""Decide what is in force where several may say it, and write that for a node: pure functions.

Not for: reading what they say (service.py).
"""

from collections.abc import Sequence

from controlplane.federation.models import Endpoint, FederationInForce, FederationWords
from nodelink.contract.federation import (
    EndpointOverride,
    ExchangerAccess,
    FederationMode,
    FederationRule,
    FederationState,
    PeerTransport,
)

USUAL_TRANSPORTS = [PeerTransport.HTTPS, PeerTransport.SMTP]


def lay(layers: Sequence[FederationWords]) -> FederationInForce:
    """Lay words over one another, the widest scope first. The nearest word counts; lists add up.

    Where nobody says anything, mail is exchanged with everybody, by HTTPS and SMTP.
    """
    is_enabled, mode, drops, transports = True, FederationMode.ACCEPT, False, USUAL_TRANSPORTS
    endpoints: dict[str, Endpoint] = {}
    for layer in layers:
        is_enabled = is_enabled if layer.is_enabled is None else layer.is_enabled
        mode = mode if layer.mode is None else layer.mode
        transports = transports if layer.transports is None else layer.transports
        drops = drops if layer.drops_unknown_recipients is None else layer.drops_unknown_recipients
        endpoints |= {endpoint.domain: endpoint for endpoint in layer.endpoints}
    rules = {(rule.domain, rule.transport): rule for layer in layers for rule in layer.rules}
    return FederationInForce(
        is_enabled=is_enabled,
        mode=mode,
        transports=list(transports),
        drops_unknown_recipients=drops,
        rules=list(rules.values()),
        dismissed=sorted({domain for layer in layers for domain in layer.dismissed}),
        endpoints=list(endpoints.values()),
    )


def write_state(in_force: FederationInForce, exchangers: tuple[ExchangerAccess, ...] = ()) -> FederationState:
    """Write what holds as a node reads it."""
    return FederationState(
        is_enabled=in_force.is_enabled,
        mode=in_force.mode,
        rules=tuple(FederationRule(domain=rule.domain, transport=rule.transport) for rule in in_force.rules),
        transports=tuple(in_force.transports),
        dismissed=tuple(in_force.dismissed),
        overrides=tuple(
            EndpointOverride(domain=each.domain, target=each.target) for each in in_force.endpoints
        ),
        drops_unknown_recipients=in_force.drops_unknown_recipients,
        exchangers=exchangers,
    )
