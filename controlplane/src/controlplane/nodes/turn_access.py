"""Decide which TURN service mail nodes hand out, and how their credentials stay apart.

For: pure functions.
Not for: making credentials; each mail node does that for its own accounts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controlplane.errors import FleetFullError
from nodelink.contract.states import TurnPeer

SMALLEST_MODULUS = 16
LARGEST_MODULUS = 65_536
"""The largest power of two that leaves each node a second of every day, as contract.states demands."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
"""A name or an IPv4 literal. Apps split what they are given at colons, so an IPv6 literal is of no use."""


@dataclass(frozen=True, slots=True)
class TurnService:
    """Where TURN is to be had."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TurnCandidate:
    """What a TURN node says of itself."""

    node: str
    public_name: str
    public_port: int
    is_connected: bool
    is_draining: bool = False
    is_moved: bool = False
    """Whether its port is another one than Ansible has set."""
    udp_ports: frozenset[int] = frozenset()
    """Where it takes clients, that of `public_port` among them."""
    group: str | None = None

    @property
    def takes_calls(self) -> bool:
        """Whether new calls may be sent to it."""
        return self.is_connected and not self.is_draining


@dataclass(frozen=True, slots=True)
class TurnChoice:
    """What mail nodes hand out: the usual service, and the host of each port that a policy may name."""

    usual: TurnService | None = None
    offers: Mapping[int, str] = field(default_factory=dict)


def divide_into_pools(candidates: Iterable[TurnCandidate]) -> dict[str | None, list[TurnCandidate]]:
    """Divide TURN nodes into pools, each under the group whose mail nodes it serves.

    The one under `None` is the fleet's: of the nodes in no group, or of all where each is in one. It serves
    everyone who has no pool of his own, and a group none of whose nodes takes calls, if one of its own does.
    """
    everyone = list(candidates)
    fleet = [each for each in everyone if each.group is None] or everyone
    pools: dict[str | None, list[TurnCandidate]] = {}
    for each in everyone:
        if each.group is not None and _HOST.fullmatch(each.public_name):
            pools.setdefault(each.group, []).append(each)
    if any(each.takes_calls for each in fleet):
        pools = {group: pool for group, pool in pools.items() if any(each.takes_calls for each in pool)}
    return {None: fleet, **pools}


def choose_for_pools(
    candidates: Iterable[TurnCandidate],
    named: TurnService | None,
    in_use: Mapping[str | None, TurnChoice],
) -> dict[str | None, TurnChoice]:
    """Choose for each pool what its mail nodes hand out.

    Args:
        candidates: All TURN nodes.
        named: The name of the fleet's pool with its usual port, if it has one.
        in_use: What was chosen before.
    """
    return {
        group: _choose(pool, named if group is None else None, in_use.get(group, TurnChoice()))
        for group, pool in divide_into_pools(candidates).items()
    }


def choose_turn_service(
    candidates: Iterable[TurnCandidate], in_use: TurnService | None
) -> TurnService | None:
    """Choose the TURN node whose address is handed out; `None` where there is none.

    A connected node goes before one that is not, then one that does not drain before one that does, then the
    one in use before others, then the name decides: so that apps are sent elsewhere only for a reason.
    """
    usable = [candidate for candidate in candidates if _HOST.fullmatch(candidate.public_name)]
    if not usable:
        return None

    def rank(candidate: TurnCandidate) -> tuple[bool, bool, bool, str]:
        service = TurnService(candidate.public_name, candidate.public_port)
        return not candidate.is_connected, candidate.is_draining, service != in_use, candidate.node

    best = min(usable, key=rank)
    return TurnService(best.public_name, best.public_port)


def choose_named_service(
    candidates: Iterable[TurnCandidate], usual: TurnService, in_use: TurnService | None
) -> TurnService:
    """Choose the port behind the name of a pool: another one once all of its TURN nodes have moved there.

    Until then it is the usual one; while none is connected, it stays the one in use.
    """
    ports = {
        candidate.public_port if candidate.is_moved else usual.port
        for candidate in candidates
        if candidate.is_connected
    }
    if not ports and in_use is not None and in_use.host == usual.host:
        return in_use
    return TurnService(usual.host, ports.pop()) if len(ports) == 1 else usual


def choose_offers(
    candidates: Iterable[TurnCandidate], name: str | None, in_use: Mapping[int, str]
) -> dict[int, str]:
    """Choose what host is handed out with each UDP port at which TURN is to be had, for policies to pick one.

    Args:
        candidates: The TURN nodes of a pool.
        name: That of all of them, if they have one.
        in_use: What was chosen before.
    """
    usable = [each for each in candidates if name is not None or _HOST.fullmatch(each.public_name)]
    connected = [each for each in usable if each.is_connected]
    # A port that only nodes have that are away or drain would lead new calls nowhere, while others are there.
    best = [each for each in connected if not each.is_draining] or connected or usable
    ports = sorted({port for each in best for port in each.udp_ports})
    if name is not None:
        return dict.fromkeys(ports, name)
    offers: dict[int, str] = {}
    for port in ports:
        there = [replace(each, public_port=port) for each in best if port in each.udp_ports]
        service = choose_turn_service(there, TurnService(in_use[port], port) if port in in_use else None)
        if service is not None:
            offers[port] = service.host
    return offers


def announce(usual: TurnService | None, port: int, offers: Mapping[int, str]) -> TurnService | None:
    """Tell what a policy that names a port, or 0 for the usual one, makes of the usual service.

    While TURN is not to be had at the port, it is the usual service.
    """
    host = offers.get(port)
    return usual if usual is None or host is None else TurnService(host, port)


def list_turn_peers(candidates: Iterable[TurnCandidate]) -> tuple[TurnPeer, ...]:
    """List the TURN nodes that others can probe, by name."""
    return tuple(
        TurnPeer(name=each.node, host=each.public_name, port=each.public_port)
        for each in sorted(candidates, key=lambda candidate: candidate.node)
        if _HOST.fullmatch(each.public_name)
    )


def decide_modulus(mail_nodes_ever: int) -> int:
    """Decide by what all mail nodes divide, so that each has a residue of its own.

    Raises:
        FleetFullError: There have been more mail nodes than there can be residues.
    """
    if mail_nodes_ever > LARGEST_MODULUS:
        raise FleetFullError(mail_nodes_ever=mail_nodes_ever)
    return max(SMALLEST_MODULUS, 1 << (mail_nodes_ever - 1).bit_length())


def _choose(pool: Sequence[TurnCandidate], named: TurnService | None, in_use: TurnChoice) -> TurnChoice:
    if named is None:
        return TurnChoice(choose_turn_service(pool, in_use.usual), choose_offers(pool, None, in_use.offers))
    usual = choose_named_service(pool, named, in_use.usual)
    return TurnChoice(usual, choose_offers(pool, named.host, in_use.offers))
