"""With which other servers mail is exchanged, where it goes, and what has passed.

    /admin/settings/federation          {enabled?, policy?: ACCEPT | REJECT}
    /admin/federation/rules             {domain}         about all transports; others are made by /api/v1
    /admin/federation/silent-dismiss    {domain}
    /admin/dns                          {lookup_key, target_host, comment?}
    /admin/federation/servers           of all nodes together

On the address of a node, lists show what holds there; added to and removed from is what the node says itself.

Not for: rules (federation/service.py).
"""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final

from pydantic import JsonValue, ValidationError
from sqlmodel import Session

from controlplane.errors import WrongKindError
from controlplane.federation import service
from controlplane.federation.models import (
    Endpoint,
    FederationChange,
    FederationInForce,
    FederationWords,
    Rule,
)
from controlplane.federation.peers import list_peers
from controlplane.fleet_settings.service import read_facts
from controlplane.madmail_rpc.arguments import read_needed_text, read_text
from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.envelope import RpcAnswer, RpcError
from controlplane.madmail_rpc.peer_figures import write_peer
from controlplane.madmail_rpc.setting_values import (
    read_federation,
    write_effective_sizes,
    write_federation_policy,
)
from controlplane.nodes.fleet import begin_change
from nodelink.contract.federation import FederationMode, PeerTraffic
from nodelink.contract.states import NodeKind

LONGEST_DOMAIN = 255
MODES: Final[Mapping[str, FederationMode]] = {
    "ACCEPT": FederationMode.ACCEPT,
    "REJECT": FederationMode.REJECT,
}
Json = dict[str, JsonValue]


async def change_policy(call: Call) -> RpcAnswer:
    """Show or change whether, and with whom, mail is exchanged."""
    if call.method != "GET":
        change: dict[str, object] = {}
        if "enabled" in call.body:
            if not isinstance(call.body["enabled"], bool):
                raise RpcError(400, "enabled must be true or false")
            change["is_enabled"] = call.body["enabled"]
        if "policy" in call.body:
            word = read_text(call.body, "policy").upper()
            if word not in MODES:
                raise RpcError(400, "policy must be ACCEPT or REJECT")
            change["mode"] = MODES[word]
        await _change(call, lambda _: change)

    def look(session: Session) -> Json:
        sizes = write_effective_sizes(read_facts(session, call.site.plane.facts, call.node))
        found: Json = {**write_federation_policy(read_federation(session, call)), "max_federation_size": None}
        return found | {key: size for key, size in sizes.items() if key.startswith("federation")}

    return RpcAnswer(await call.read(look))


async def change_rules(call: Call) -> RpcAnswer:
    """List domains with rules, or add or remove one."""
    if call.method == "GET":
        rules = _list_rules(await _read(call))
        return RpcAnswer({"rules": rules, "total": len(rules)})
    domain = _read_domain(call, "domain")
    if call.method == "POST":

        def add(own: FederationWords) -> dict[str, object]:
            there = any((rule.domain, rule.transport) == (domain, None) for rule in own.rules)
            return {} if there else {"rules": [*own.rules, Rule(domain=domain)]}

        await _change(call, add)
        return RpcAnswer({"domain": domain, "total": len(_list_rules(await _read(call)))})

    def remove(own: FederationWords) -> dict[str, object]:
        kept = [rule for rule in own.rules if rule.domain != domain]
        if len(kept) == len(own.rules):
            raise _find_none(call, f"rule about {domain}")
        return {"rules": kept}

    await _change(call, remove)
    return RpcAnswer({"domain": domain, "remaining": len(_list_rules(await _read(call)))})


async def change_dismissed(call: Call) -> RpcAnswer:
    """List domains whose mail is dropped, or add or remove one."""
    if call.method == "GET":
        # When each was added is not kept.
        domains: list[JsonValue] = [
            {"domain": domain, "created_at": 0} for domain in (await _read(call)).dismissed
        ]
        return RpcAnswer({"domains": domains, "total": len(domains)})
    domain = _read_domain(call, "domain")
    if call.method == "POST":
        await _change(call, lambda own: {"dismissed": [*own.dismissed, domain]})
        return RpcAnswer({"domain": domain, "total": len((await _read(call)).dismissed)})

    def remove(own: FederationWords) -> dict[str, object]:
        if domain not in own.dismissed:
            raise _find_none(call, f"silent dismissal of {domain}")
        return {"dismissed": [each for each in own.dismissed if each != domain]}

    await _change(call, remove)
    return RpcAnswer({"domain": domain, "remaining": len((await _read(call)).dismissed)})


async def change_endpoints(call: Call) -> RpcAnswer:
    """List where mail for a domain goes instead of to its MX; set one, or remove it if it is there."""
    if call.method == "GET":
        entries: list[JsonValue] = [_write_endpoint(each) for each in (await _read(call)).endpoints]
        return RpcAnswer({"overrides": entries, "total": len(entries)})
    domain = _read_domain(call, "lookup_key")
    if call.method == "POST":
        target = read_needed_text(call.body, "target_host", longest=500)
        comment = read_text(call.body, "comment", longest=200)

        def put(own: FederationWords) -> dict[str, object]:
            kept = [each.model_dump() for each in own.endpoints if each.domain != domain]
            return {"endpoints": [*kept, {"domain": domain, "target": target, "comment": comment}]}

        await _change(call, put)
        return RpcAnswer({"lookup_key": domain, "target_host": target, "comment": comment}, 201)
    await _change(call, lambda own: {"endpoints": [each for each in own.endpoints if each.domain != domain]})
    return RpcAnswer({"deleted": domain})


async def list_servers(call: Call) -> RpcAnswer:
    """List other servers, and what has passed since the nodes have started."""
    if call.kind is NodeKind.TURN:
        return RpcAnswer({"servers": [], "total": 0})
    found = await list_peers(call.accounts, call.whose)
    by_domain: dict[str, list[PeerTraffic]] = {}
    for peer in found.items:
        by_domain.setdefault(peer.domain, []).append(peer)
    servers: list[JsonValue] = [write_peer(domain, peers) for domain, peers in by_domain.items()]
    answer: Json = {"servers": servers, "total": len(servers)}
    return RpcAnswer(answer | ({"missing_nodes": [*found.missing_nodes]} if found.missing_nodes else {}))


async def _read(call: Call) -> FederationInForce:
    return await call.read(lambda session: read_federation(session, call))


async def _change(call: Call, decide: Callable[[FederationWords], Mapping[str, object]]) -> None:
    """Change what the fleet, or the node, says itself; `decide` is told that and returns what is new."""

    def change(session: Session) -> None:
        if call.kind is NodeKind.TURN:
            raise WrongKindError(node=call.node)
        begin_change(session)
        own = service.describe_federation(session, node=call.node).own
        try:
            wanted = FederationChange.model_validate(dict(decide(own)))
        except ValidationError as error:
            raise RpcError(400, _explain(error)) from error
        service.change_federation(session, call.site.plane.facts, call.author, wanted, node=call.node)

    await call.change(change)


def _read_domain(call: Call, name: str) -> str:
    """Read a domain; an address may lack its brackets. Raises: RpcError (400)."""
    text = read_needed_text(call.body, name, longest=LONGEST_DOMAIN).lower()
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address is not None:
        text = f"[{text}]" if address.version == 4 else f"[ipv6:{text}]"
    try:
        return Rule(domain=text).domain
    except ValidationError as error:
        raise RpcError(400, f"{name}: {_explain(error)}") from error


def _list_rules(in_force: FederationInForce) -> list[JsonValue]:
    made: dict[str, int] = {}
    for rule in in_force.rules:
        at_seconds = rule.created_at_seconds or 0
        made[rule.domain] = min(at_seconds, made.get(rule.domain, at_seconds))
    return [{"domain": domain, "created_at": at_seconds} for domain, at_seconds in made.items()]


def _write_endpoint(endpoint: Endpoint) -> JsonValue:
    return {
        "lookup_key": endpoint.domain,
        "target_host": endpoint.target,
        "comment": endpoint.comment,
    }


def _find_none(call: Call, what: str) -> RpcError:
    where = "" if call.node is None else f" of node {call.node} itself; the fleet's are at /api/admin"
    return RpcError(404, f"there is no {what}{where}")


def _explain(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
