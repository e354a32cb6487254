"""How the fleet or a node is, for the first screen of the admin web.

    figures of the last reports ──┐
    accounts, asked live ─────────┼──▶ status ──▶ overview (with disk, tokens, settings)
    peers of the last reports ────┘

Not for: metrics; health/ has those.
"""

import asyncio
from collections import Counter
from pathlib import Path

from fastapi.concurrency import run_in_threadpool
from pydantic import JsonValue
from sqlalchemy import text
from sqlmodel import Session, col, func, select

from controlplane.errors import WrongKindError
from controlplane.fleet_settings.service import Facts, read_facts
from controlplane.madmail_rpc.arguments import read_text
from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.envelope import RpcAnswer, RpcError
from controlplane.madmail_rpc.moments import write_duration, write_moment
from controlplane.madmail_rpc.peer_figures import HEALTHS, add_up_peer, judge_peer
from controlplane.madmail_rpc.setting_values import write_all_settings, write_push, write_retention
from controlplane.nodes.models import NodePublic
from controlplane.nodes.reports import list_nodes
from controlplane.plane import DATABASE, Plane
from controlplane.registration.token_models import RegistrationToken
from nodelink.contract.federation import PeerTraffic
from nodelink.contract.states import NodeKind

RELOAD_SCOPES = frozenset({"full", "http", "http_routes", "routes"})
RELOAD_SECONDS = 60.0
LOOK_SECONDS = 0.1

Json = dict[str, JsonValue]


async def show_status(call: Call) -> RpcAnswer:
    """Show how much is going on."""
    return RpcAnswer(await _write_status(call))


async def show_overview(call: Call) -> RpcAnswer:
    """Show the status with disk, number of registration tokens, and settings."""
    status = await _write_status(call)

    def look(session: Session) -> Json:
        facts = read_facts(session, call.site.plane.facts, call.node)
        own = col(RegistrationToken.node) == call.node
        tokens = session.exec(select(func.count()).select_from(RegistrationToken).where(own)).one()
        return {
            "disk": _write_disk(list_own_nodes(session, call)),
            "tokens": {"total": tokens},
            "settings": write_all_settings(session, call, facts),
        }

    return RpcAnswer(status | await call.read(look))


async def show_storage(call: Call) -> RpcAnswer:
    """Show what mail takes on disks, and where the database is."""
    nodes = await call.read(lambda session: list_own_nodes(session, call))
    store_bytes = _add_up(nodes, "store_bytes")
    database: Json = {"driver": "sqlite", "size_bytes": store_bytes}
    if call.node is None:
        database = await run_in_threadpool(_measure_database, call.site.plane)
    return RpcAnswer(
        {
            "disk": _write_disk(nodes),
            "state_dir": {"path": "", "size_bytes": store_bytes},  # paths belong to each host
            "database": database,
        }
    )


async def reload(call: Call) -> RpcAnswer:
    """See that every connected node does what is wanted of it; nothing needs to be loaded anew for that."""
    scope = read_text(call.body, "scope") or "full"
    if scope not in RELOAD_SCOPES:
        raise RpcError(400, f"invalid scope: {scope} (expected full|http|http_routes|routes)")
    if not call.body.get("wait"):
        return RpcAnswer({"status": "reloading", "message": "Connected nodes follow within two seconds."})
    try:
        async with asyncio.timeout(RELOAD_SECONDS):
            await _wait_for_nodes(call)
    except TimeoutError as error:
        raise RpcError(504, f"nodes still follow after {RELOAD_SECONDS:.0f} s") from error
    return RpcAnswer({"status": "reloaded", "message": "Every connected node follows."})


async def refuse_restart(_: Call) -> RpcAnswer:
    """Refuse: units belong to the hosts, and nothing that can be set here needs a restart."""
    raise RpcError(400, "not offered: nothing needs a restart; settings are in force at once")


async def count_users(call: Call, nodes: list[NodePublic]) -> int:
    """Count accounts: live, and by the last report of nodes that do not answer."""
    if call.kind is NodeKind.TURN:
        return 0
    try:
        totals = await call.accounts.add_up(call.whose)
    except WrongKindError:  # retired and enrolled anew, meanwhile
        return 0
    missing = [node for node in nodes if node.name in totals.missing_nodes]
    return totals.accounts + _add_up(missing, "accounts")


def list_own_nodes(session: Session, call: Call) -> list[NodePublic]:
    """List the nodes that a call is about."""
    nodes = list_nodes(session, call.now_seconds)
    return [node for node in nodes if call.node in (None, node.name)]


async def _write_status(call: Call) -> Json:
    def look(session: Session) -> tuple[list[NodePublic], Facts]:
        return list_own_nodes(session, call), read_facts(session, call.site.plane.facts, call.node)

    nodes, facts = await call.read(look)
    here = [node for node in nodes if node.is_connected]
    began = [node.report.started_at_seconds for node in nodes if node.report is not None]
    boot_seconds = call.site.started_at_seconds if call.node is None else max(began, default=call.now_seconds)
    return {
        "version": _read_version(call, nodes),
        "imap": {
            "connections": _add_up(here, "imap_sessions"),
            "unique_ips": _add_up(here, "imap_addresses"),
        },
        "turn": {"relays": _add_up(here, "allocations")},
        "shadowsocks": {"connections": 0, "unique_ips": 0},
        "users": {"registered": await count_users(call, nodes)},
        "uptime": {
            "boot_time": write_moment(boot_seconds),
            "duration": write_duration(max(0, call.now_seconds - boot_seconds)),
        },
        "sent_messages": _add_up(here, "messages_accepted"),
        "outbound_messages": _add_up(here, "messages_delivered"),
        "received_messages": _add_up(here, "messages_received"),
        "federation_traffic": _write_traffic(here),
        "message_retention": write_retention(facts),
        "push": write_push(facts, nodes),
    }


async def _wait_for_nodes(call: Call) -> None:
    while True:
        if not await call.read(lambda session: _are_behind(session, call)):
            return
        await asyncio.sleep(LOOK_SECONDS)


def _write_traffic(nodes: list[NodePublic]) -> Json:
    """Write what goes to and comes from other servers; how well, by those of the last reports."""
    peers: dict[str, list[PeerTraffic]] = {}
    for node in nodes:
        for peer in node.report.peers if node.report is not None else ():
            peers.setdefault(peer.domain, []).append(peer)
    servers = [add_up_peer(domain, told) for domain, told in peers.items()]
    healths = Counter(judge_peer(server) for server in servers)
    latencies = [server["mean_latency_ms"] for server in servers if server["successful_deliveries"]]
    return {
        "inbound": _add_up(nodes, "messages_received") + _add_up(nodes, "peer_received"),
        "outbound": _add_up(nodes, "messages_delivered"),
        "queued": _add_up(nodes, "queued_messages"),
        "expired": 0,  # those are in `outbound`: nodes count what has left their queue, either way
        "mean_latency_ms": round(sum(latencies) / len(latencies)) if latencies else 0,
        "health": {name: healths[name] for name in HEALTHS},
    }


def _write_disk(nodes: list[NodePublic]) -> Json:
    total, free = _add_up(nodes, "disk_bytes"), _add_up(nodes, "disk_free_bytes")
    used = max(0, total - free)
    return {
        "total_bytes": total,
        "used_bytes": used,
        "available_bytes": free,
        "percent_used": round(100 * used / total, 1) if total else 0,
    }


def _are_behind(session: Session, call: Call) -> bool:
    return any(
        node.is_connected and node.applied_revision < node.revision for node in list_own_nodes(session, call)
    )


def _add_up(nodes: list[NodePublic], figure: str) -> int:
    return int(sum(node.report.figures.get(figure, 0) for node in nodes if node.report is not None))


def _read_version(call: Call, nodes: list[NodePublic]) -> str:
    report = nodes[0].report if call.node is not None and nodes else None
    return call.site.version if report is None else report.software_version


def _measure_database(plane: Plane) -> Json:
    if plane.settings.database_url is None:
        files = [plane.settings.state_directory / f"{DATABASE}{suffix}" for suffix in ("", "-wal", "-shm")]
        return {"driver": "sqlite", "size_bytes": sum(_measure(path) for path in files)}
    with plane.engine.connect() as connection:
        size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    return {"driver": "postgres", "size_bytes": int(size)}


def _measure(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
